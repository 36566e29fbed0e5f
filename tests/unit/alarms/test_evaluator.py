"""From counts and reports to alarms: what is raised, cleared, repeated and told to whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from pipeline.alarms import notices, store
from pipeline.alarms.camera_blind import CameraBlindRule, Sight
from pipeline.alarms.channel_settings import ChannelSettings
from pipeline.alarms.evaluator import Evaluator
from pipeline.alarms.latency_burn import LatencyRule
from pipeline.alarms.reject_rate import RejectRateRule
from pipeline.alarms.run_rule import RunRuleRule
from pipeline.alarms.settings import AlarmSettings
from pipeline.alarms.sight import Place, Sights
from pipeline.alarms.values import Kind, Severity
from pipeline.history.database import Database
from pipeline.history.frozen import Frozen, freeze
from pipeline.history.plant import PlantSettings
from pipeline.history.run_rules import RuleSet
from pipeline.history.spc import ChartKind, FrozenLimits
from pipeline.history.tables import camera_minutes, part_minutes
from tests.unit.alarms.history import history

NOW = 1_800_000_000.0  # a whole minute, Unix seconds
MINUTE = int(NOW // 60)
LINE = "filling"
BLIND: Sights = {Place(LINE, "cam-1"): Sight(False, "black"), Place(LINE, "cam-2"): Sight(True)}
SEEING: Sights = {Place(LINE, "cam-1"): Sight(True), Place(LINE, "cam-2"): Sight(True)}
AT_ONCE = CameraBlindRule(after_s=0, clear_after_s=0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


def evaluator(database: Database, settings: AlarmSettings, **channels: ChannelSettings) -> Evaluator:
    return Evaluator(settings, database, [LINE], channels or {"chat": ChannelSettings()}, PlantSettings())


def held(database: Database) -> list[tuple[Kind, str, str]]:
    with database.read() as connection:
        return [(one.key.kind, one.key.line, one.key.subject) for one in store.holding(connection)]


def told(database: Database, channel: str = "chat", at: float = NOW) -> list[tuple[str, str]]:
    with database.write() as connection:
        taken = notices.take(connection, channel, int((at + 1e6) * 1e3), lease_s=1)
        notices.sent(connection, taken, int(at * 1e3))
    return [(one.what.value, one.alarm.key.subject) for one in taken]


def count(database: Database, minute: int, verdict: str, parts: int, *, counts: bool = True) -> None:
    its = {"line": LINE, "camera": "cam-1", "recipe": "", "model": "m:1", "counts": counts, "defects": 0}
    with database.write() as connection:
        connection.execute(insert(part_minutes).values(**its, minute=minute, verdict=verdict, parts=parts))


def test_a_blind_camera_is_raised_once_told_and_cleared(database: Database) -> None:
    looks = evaluator(database, AlarmSettings(camera_blind=AT_ONCE))
    assert looks.look(BLIND, NOW) is True
    assert looks.look(BLIND, NOW + 5) is False
    assert held(database) == [(Kind.CAMERA_BLIND, LINE, "cam-1")]
    assert looks.look(SEEING, NOW + 10) is True
    assert held(database) == []
    assert told(database) == [("raised", "cam-1"), ("cleared", "cam-1")]


def test_a_restart_raises_nothing_twice_and_forgets_nothing(database: Database) -> None:
    settings = AlarmSettings(camera_blind=AT_ONCE)
    evaluator(database, settings).look(BLIND, NOW)
    restarted = evaluator(database, settings)
    assert restarted.look(BLIND, NOW + 60) is False
    assert told(database) == [("raised", "cam-1")]
    assert restarted.look(SEEING, NOW + 65) is True
    assert told(database) == [("cleared", "cam-1")]


def test_while_redis_does_not_say_no_camera_is_judged(database: Database) -> None:
    looks = evaluator(database, AlarmSettings(camera_blind=AT_ONCE))
    looks.look(BLIND, NOW)
    assert looks.look(None, NOW + 600) is False
    assert held(database) == [(Kind.CAMERA_BLIND, LINE, "cam-1")]


def test_the_alarm_of_a_camera_that_was_taken_away_is_over(database: Database) -> None:
    looks = evaluator(database, AlarmSettings(camera_blind=AT_ONCE))
    looks.look(BLIND, NOW)
    looks.look({Place(LINE, "cam-2"): Sight(True)}, NOW + 5)
    assert held(database) == []


def test_the_alarm_of_a_rule_that_was_taken_away_is_over(database: Database) -> None:
    evaluator(database, AlarmSettings(camera_blind=AT_ONCE)).look(BLIND, NOW)
    evaluator(database, AlarmSettings(camera_blind=None)).look(BLIND, NOW + 5)
    assert held(database) == []


def test_rejects_are_counted_within_the_window_at_the_station_that_counts(database: Database) -> None:
    looks = evaluator(database, AlarmSettings(reject_rate=RejectRateRule(limit=0.1, window_min=10, min_parts=20)))
    count(database, MINUTE - 10, "reject", 1000)  # before the window
    count(database, MINUTE - 1, "reject", 1000, counts=False)
    count(database, MINUTE - 9, "pass", 18)
    count(database, MINUTE, "reject", 2)
    assert looks.look(SEEING, NOW) is False
    count(database, MINUTE - 1, "reject", 1)
    assert looks.look(SEEING, NOW + 5) is True
    with database.read() as connection:
        (alarm,) = store.holding(connection)
    assert alarm.detail == "14.3 % of 21 parts rejected in 10 min, limit 10 %"


def test_late_minutes_of_all_cameras_of_the_line_burn_its_budget(database: Database) -> None:
    its = {"line": LINE, "state": "running", "health": "ok", "fps_in": 5, "fps_out": 5, "dropped": 0}
    rows = [
        {**its, "camera": camera, "minute": MINUTE - back, "latency_ms_p95": 900.0 if late and back < 12 else 90.0}
        for camera, late in (("cam-1", True), ("cam-2", False))
        for back in range(60)
    ]
    with database.write() as connection:
        connection.execute(insert(camera_minutes), rows)
    looks = evaluator(database, AlarmSettings(latency=LatencyRule(within_ms=500)))
    assert looks.look(SEEING, NOW) is True
    with database.read() as connection:
        (alarm,) = store.holding(connection)
    assert (alarm.key.kind, alarm.severity) == (Kind.LATENCY, Severity.CRITICAL)
    assert alarm.detail.startswith("12 of 120 minutes over 500 ms in 6 h")


def test_a_point_beyond_the_limits_raises_when_its_bucket_is_over(database: Database) -> None:
    start = MINUTE - MINUTE % 15
    for bucket in range(1, 20):
        count(database, start - 15 * bucket, "pass", 500)
        count(database, start - 15 * bucket, "reject", (10, 12, 13, 9, 11)[bucket % 5])
    count(database, start, "pass", 100)
    count(database, start, "reject", 100)
    settings = AlarmSettings(run_rule=RunRuleRule(chart="p"))
    assert evaluator(database, settings).look(SEEING, start * 60 + 14 * 60) is False
    assert evaluator(database, settings).look(SEEING, start * 60 + 16 * 60) is True
    with database.read() as connection:
        (alarm,) = store.holding(connection)
    assert alarm.key.subject == "p"
    assert "rule 1 (one point beyond the limits) on the p chart" in alarm.detail


def test_the_plants_run_rules_are_the_alarms(database: Database) -> None:
    start = MINUTE - MINUTE % 15
    for bucket in range(1, 25):
        rejects = 13 if bucket <= 8 else (12, 8, 8, 12)[bucket % 4]
        count(database, start - 15 * bucket, "pass", 500)
        count(database, start - 15 * bucket, "reject", rejects)
    settings, at = AlarmSettings(run_rule=RunRuleRule(chart="p")), start * 60 + 60
    assert evaluator(database, settings).look(SEEING, at) is False
    western = Evaluator(settings, database, [LINE], {}, PlantSettings(run_rules=RuleSet.WESTERN_ELECTRIC))
    assert western.look(SEEING, at) is True
    with database.read() as connection:
        (alarm,) = store.holding(connection)
    assert "rule 4 (eight points in a row on one side of the centre line) on the p chart" in alarm.detail


@pytest.mark.parametrize(
    ("recipe", "raises"),
    [pytest.param("", True, id="of what runs"), pytest.param("other", False, id="of another recipe")],
)
def test_frozen_limits_raise_an_alarm_for_their_own_recipe_and_model_alone(
    database: Database, recipe: str, raises: bool
) -> None:
    start = MINUTE // 15 * 15
    for piece in range(1, 11):
        count(database, start - piece * 15, "pass", 90)
        count(database, start - piece * 15, "reject", 10)
    frozen = Frozen(FrozenLimits(0.01), 0, 1, "ada", 1, recipe, "m:1")
    with database.write() as connection:
        freeze(connection, LINE, ChartKind.P, frozen)
    settings = AlarmSettings(run_rule=RunRuleRule(chart="p"))
    assert evaluator(database, settings).look(SEEING, start * 60 + 60) is raises


def test_an_alarm_nobody_acknowledged_is_told_again_after_a_while_and_no_sooner(database: Database) -> None:
    looks = evaluator(database, AlarmSettings(camera_blind=AT_ONCE, repeat_after_min=30))
    looks.look(BLIND, NOW)
    assert [looks.look(BLIND, NOW + at) for at in (1799, 1800, 1805, 3600)] == [False, True, False, True]
    assert told(database, at=NOW + 3600) == [("raised", "cam-1"), ("repeated", "cam-1"), ("repeated", "cam-1")]
    with database.write() as connection:
        (alarm,) = store.holding(connection)
        store.acknowledge(connection, alarm.id, "ada", "", int(NOW * 1e3))
    assert looks.look(BLIND, NOW + 9000) is False


def test_who_asked_for_other_lines_or_for_worse_is_told_nothing(database: Database) -> None:
    channels = {
        "chat": ChannelSettings(),
        "other": ChannelSettings(lines=("packing",)),
        "pager": ChannelSettings(severity=Severity.CRITICAL),
    }
    rule = CameraBlindRule(after_s=0, severity=Severity.WARNING)
    evaluator(database, AlarmSettings(camera_blind=rule), **channels).look(BLIND, NOW)
    assert [told(database, name) for name in channels] == [[("raised", "cam-1")], [], []]


def test_an_alarm_that_concerns_nobody_is_not_told_again(database: Database) -> None:
    rule = CameraBlindRule(after_s=0, severity=Severity.WARNING)
    pager = ChannelSettings(severity=Severity.CRITICAL)
    looks = evaluator(database, AlarmSettings(camera_blind=rule, repeat_after_min=30), pager=pager)
    assert looks.look(BLIND, NOW) is True
    assert [looks.look(BLIND, NOW + at) for at in (1800, 1805, 3600)] == [False] * 3


def test_who_was_told_while_it_was_worse_is_told_that_it_ended(database: Database) -> None:
    channels = {"chat": ChannelSettings(), "pager": ChannelSettings(severity=Severity.CRITICAL)}
    rules = [AlarmSettings(camera_blind=AT_ONCE.model_copy(update={"severity": severity})) for severity in Severity]
    for at, (settings, sights) in enumerate([(rules[1], BLIND), (rules[0], BLIND), (rules[0], SEEING)]):
        evaluator(database, settings, **channels).look(sights, NOW + at)
    both = [("raised", "cam-1"), ("cleared", "cam-1")]
    assert [told(database, name) for name in channels] == [both, both]
