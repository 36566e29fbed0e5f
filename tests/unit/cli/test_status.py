"""The live table, from reports alone."""

import importlib
import io
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.status import _COLOURS, shown
from pipeline.ingest.camera_state import CameraState
from pipeline.orchestrate.desired import CameraOverride, merge
from pipeline.orchestrate.line_count import LineCount
from pipeline.orchestrate.state import CameraReport, RelayReport, ShardReport, SystemReport
from pipeline.sinks.errors import SinkUnavailable
from stages.values import CameraId
from tests.unit.config.site import SITE, config_from

status_command = importlib.import_module("pipeline.commands.status")
NOW = 1000.0
RUNNING = CameraReport(
    camera="cam-1",
    line="filling",
    station="capper",
    state="running",
    since=NOW - 125,
    fps_in=15.02,
    fps_out=14.96,
    dropped={"queue_full": 7, "behind": 0},
    latency_ms_p50=41.3,
    latency_ms_p95=88.8,
    parts={"pass": 12, "reject": 1},
    override="changed",
)
FAILED = CameraReport(
    camera="gate",
    line="gate",
    station="gate",
    state="failed",
    since=NOW - 3,
    health="black",
    last_error="no video there",
    last_error_at=NOW - 7300,
)


def test_what_waits_on_disk_is_told() -> None:
    report = SystemReport(at=NOW, started_at=NOW, cameras=(RUNNING.model_copy(update={"waiting": 1200}),))
    assert "cam-1: 1200 frames wait on disk" in table(report)


def table(report: SystemReport, width: int = 200, **overrides: CameraOverride) -> list[str]:
    desired = merge(config_from(SITE), {CameraId(n.replace("_", "-")): o for n, o in overrides.items()}, version=5)
    stream = io.StringIO()
    Console(file=stream, width=width).print(shown(desired, report, NOW, width))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines() if line.strip()]


def report(*cameras: CameraReport, **more: object) -> SystemReport:
    return SystemReport.model_validate(
        {"at": NOW, "started_at": NOW - 7200, "desired_version": 5, "cameras": cameras, **more}
    )


def test_a_running_cameras_row_and_its_drops_below() -> None:
    rows = table(report(RUNNING))
    assert "cam-1 (changed) filling / capper running 2 min 15.0/15.0 41/89 pass 12, reject 1" in rows
    assert "cam-1 dropped: queue_full 7" in rows


def test_a_failed_camera_tells_why_and_since_when() -> None:
    rows = table(report(FAILED))
    assert "gate gate failed 3 s black 0.0/0.0 - -" in rows
    assert "gate: no video there (2 h ago)" in rows


def test_no_word_is_broken_at_80_columns() -> None:
    busy = RUNNING.model_copy(
        update={
            "camera": "cam-4",
            "state": "reconnecting",
            "since": NOW - 3000,
            "health": "covered",
            "fps_in": 30.0,
            "fps_out": 30.0,
            "latency_ms_p50": 1234.0,
            "latency_ms_p95": 2345.0,
            "parts": {"pass": 123456, "indeterminate": 9, "reject": 1234},
        }
    )
    words = {word for row in table(report(RUNNING, FAILED, busy), width=80) for word in row.split()}
    assert {"reconnecting", "covered", "(changed)", "30.0/30.0", "1234/2345", "123456", "indeterminate"} <= words
    assert {"camera", "station", "in/out", "p50/p95", "parts", "filling", "capper", "running"} <= words


def test_each_state_a_camera_can_be_in_has_its_colour() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=120, force_terminal=True, color_system="standard", no_color=False)
    console.print(shown(None, report(RUNNING, FAILED), NOW, 200))
    green, red = "\x1b[32mrunning", "\x1b[1;31mfailed"
    assert green in stream.getvalue()
    assert red in stream.getvalue()
    assert set(_COLOURS) - {"removed"} <= {state.value for state in CameraState}


def test_cameras_that_nothing_is_reported_of_are_shown_too() -> None:
    rows = table(report(RUNNING), gate=CameraOverride(removed=True))
    assert "cam-2 starting" in rows
    assert "gate removed" in rows


def test_what_is_under_way_and_what_failed_stands_below() -> None:
    shard = ShardReport(shard="parts-live-1", state="starting", last_error="it died")
    rows = table(report(RUNNING, desired_version=4, shards=[shard], problems={"x": "no recipe"}))
    assert "up 2 h, 0 of 1 shards running" in rows
    assert "shard parts-live-1: it died" in rows
    assert "the last change is being put into force" in rows
    assert "camera x: its change is not in force: no recipe" in rows


def test_a_relay_tells_what_it_has_handed_on_and_what_it_waits_for() -> None:
    well = RelayReport(relay="disk", kind="jsonl", state="running", relayed={"events": 12}, behind=3, behind_s=0.4)
    waits = RelayReport(
        relay="plant",
        kind="kafka",
        state="waiting",
        behind_s=90,
        gaps=1,
        last_error="kafka at k:9092: no answer in time",
        last_error_at=NOW - 4,
    )
    rows = table(report(RUNNING, relays=[well, waits]))
    assert "relay disk running: events 12; behind 3 messages, 0 s" in rows
    assert (
        "relay plant waiting: nothing yet; behind 2 min, 1 gaps; kafka at k:9092: no answer in time (4 s ago)" in rows
    )


def test_a_part_counters_count_stands_beside_what_was_inspected() -> None:
    count = LineCount(
        line="filling", counter="stream plc", since=NOW - 7200, counted=1204, inspected=1201, uninspected=2,
        blind_since=NOW - 40, error="stream plc: WRONGTYPE",
    )  # fmt: skip
    stream = io.StringIO()
    Console(file=stream, width=200).print(shown(None, report(RUNNING), NOW, 200, [count]))
    told = "line filling: counted 1204, inspected 1201, difference 3 in 2 h; camera blind 2 times, now for 40 s\n"
    assert told in stream.getvalue()
    assert "line filling: its part counter cannot be read: stream plc: WRONGTYPE\n" in stream.getvalue()


def test_the_live_table_follows_and_outlives_a_redis_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = [
        report(FAILED),
        report(RUNNING),
        SinkUnavailable("redis at localhost:6379: refused"),
        None,
        KeyboardInterrupt(),
    ]

    async def look(_redis: str | None) -> Any:
        told = looks.pop(0)
        if isinstance(told, BaseException):
            raise told
        return status_command.Seen(None, told)

    stream = io.StringIO()
    monkeypatch.setattr(status_command, "look", look)
    monkeypatch.setattr(status_command, "REFRESH_S", 0.0)
    monkeypatch.setattr(status_command, "out", Console(file=stream, width=80, height=40, force_terminal=True))
    status_command.status(once=False, as_json=False, redis=None)  # Ctrl-C is the way to leave it, and no error
    shown_in_turn = ["no video there", "pass 12", "trying again", "nothing runs here"]
    places = [stream.getvalue().index(text) for text in shown_in_turn]
    assert places == sorted(places)


def test_the_recipe_that_waits_is_told_beside_the_one_in_force() -> None:
    waits = RUNNING.model_copy(update={"recipe": "small", "recipe_desired": "large"})
    refused = FAILED.model_copy(
        update={"recipe": "small", "recipe_desired": "jars", "recipe_refused": "no class 'jar'"}
    )
    told = table(
        report(RUNNING.model_copy(update={"recipe": "small"}), waits, refused, base_problems={"line l": "why"})
    )
    assert "cam-1: small until a gap between parts, then large" in told
    assert "gate: stays with small: no class 'jar'" in told
    assert "line l: its change is not in force: why" in told
