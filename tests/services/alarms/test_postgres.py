"""Alarms where the history is in PostgreSQL: what SQLite and it might understand differently."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from pipeline.alarms import notices, store
from pipeline.alarms.camera_blind import CameraBlindRule, Sight
from pipeline.alarms.channel_settings import ChannelSettings
from pipeline.alarms.evaluator import Evaluator
from pipeline.alarms.latency_burn import LatencyRule
from pipeline.alarms.reject_rate import RejectRateRule
from pipeline.alarms.run_rule import RunRuleRule
from pipeline.alarms.settings import AlarmSettings
from pipeline.alarms.sight import Place
from pipeline.alarms.values import AlarmKey, Kind, Severity
from pipeline.history.database import Database, HistoryUnavailable, database_url, open_database
from pipeline.history.migrate import migrate
from pipeline.history.plant import PlantSettings
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import alarms, camera_minutes, part_minutes
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.services

NOW = 1_800_000_000.0
MINUTE = int(NOW // 60)


@pytest.fixture
def db() -> Iterator[Database]:
    with postgres_server() as server:
        made = open_database(database_url(HistorySettings(url=SecretStr(server.database()))))
        migrate(made)
        yield made
        made.close()


def test_every_rule_raises_and_ends_and_everybody_is_told_once(db: Database) -> None:
    counted = {"line": "l1", "camera": "a", "recipe": "", "model": "m:1", "counts": True, "defects": 0}
    seen = {"line": "l1", "camera": "a", "state": "running", "health": "ok", "fps_in": 5, "fps_out": 5, "dropped": 0}
    with db.write() as connection:
        for verdict, parts in (("pass", 80), ("reject", 20)):
            row = {**counted, "minute": MINUTE, "verdict": verdict, "parts": parts}
            connection.execute(insert(part_minutes).values(row))
        late = [{**seen, "minute": MINUTE - back, "latency_ms_p95": 900.0} for back in range(60)]
        connection.execute(insert(camera_minutes), late)
    settings = AlarmSettings(
        reject_rate=RejectRateRule(limit=0.1),
        run_rule=RunRuleRule(),
        camera_blind=CameraBlindRule(after_s=0, clear_after_s=0),
        latency=LatencyRule(within_ms=500),
    )
    looks = Evaluator(settings, db, ["l1"], {"chat": ChannelSettings()}, PlantSettings())
    assert looks.look({Place("l1", "a"): Sight(False, "black")}, NOW) is True
    with db.read() as connection:
        standing = store.holding(connection)
    assert {alarm.key.kind for alarm in standing} == {Kind.REJECT_RATE, Kind.CAMERA_BLIND, Kind.LATENCY}
    assert looks.look({Place("l1", "a"): Sight(True)}, NOW + 7200) is True
    with db.write() as connection:
        (late_still,) = store.holding(connection)  # by the windows of days
        assert (late_still.key.kind, late_still.severity) == (Kind.LATENCY, Severity.WARNING)
        assert len(store.past(connection, ["l1"], limit=9)) == 2
        taken = notices.take(connection, "chat", int(NOW * 1e3) + 9_000_000, lease_s=9)
        assert [one.what.value for one in taken] == ["raised"] * 3 + ["cleared"] * 2
        notices.sent(connection, taken, int(NOW * 1e3))
        assert notices.forget(connection, int(NOW * 1e3) + 1) == 2


def test_two_processes_cannot_raise_the_same(db: Database) -> None:
    key = AlarmKey(Kind.CAMERA_BLIND, "l1", "a")
    with db.write() as connection:
        raised = store.raise_alarm(connection, key, Severity.WARNING, "black", 1000)
        assert raised is not None
        assert store.acknowledge(connection, raised.id, "ada", "known", 2000).note == "known"
    row = {**key._asdict(), "severity": "warning", "detail": "", "note": "", "raised_ms": 1}
    with pytest.raises(HistoryUnavailable, match="uq_alarms_holding"), db.write() as connection:
        connection.execute(insert(alarms).values(row))
