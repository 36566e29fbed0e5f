"""The live table, from reports alone."""

import io

from rich.console import Console

from pipeline.commands.status import shown
from pipeline.orchestrate.desired import CameraOverride, merge
from pipeline.orchestrate.state import CameraReport, ShardReport, SystemReport
from stages.values import CameraId
from tests.unit.config.site import SITE, config_from

NOW = 1000.0
RUNNING = CameraReport(
    camera="cam-1",
    line="filling",
    station="capper",
    state="RUNNING",
    since=NOW - 125,
    fps_in=15.02,
    fps_out=14.96,
    dropped={"overtaken": 7, "behind": 0},
    latency_ms_p50=41.3,
    latency_ms_p95=88.8,
    parts={"pass": 12, "reject": 1},
    override="changed",
)
FAILED = CameraReport(
    camera="gate",
    line="gate",
    station="gate",
    state="FAILED",
    since=NOW - 3,
    health="black",
    last_error="no video there",
    last_error_at=NOW - 7300,
)


def table(report: SystemReport, **overrides: CameraOverride) -> list[str]:
    desired = merge(config_from(SITE), {CameraId(n.replace("_", "-")): o for n, o in overrides.items()}, version=5)
    stream = io.StringIO()
    Console(file=stream, width=200).print(shown(desired, report, NOW))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines() if line.strip()]


def report(*cameras: CameraReport, **more: object) -> SystemReport:
    return SystemReport.model_validate(
        {"at": NOW, "started_at": NOW - 7200, "desired_version": 5, "cameras": cameras, **more}
    )


def test_a_running_cameras_row() -> None:
    assert "cam-1 (changed) filling / capper RUNNING 2 min 15.0 15.0 41 89 overtaken 7 pass 12, reject 1" in table(
        report(RUNNING)
    )


def test_a_failed_camera_tells_why_and_since_when() -> None:
    assert "gate gate FAILED 3 s black 0.0 0.0 - - - - no video there (2 h ago)" in table(report(FAILED))


def test_cameras_that_nothing_is_reported_of_are_shown_too() -> None:
    rows = table(report(RUNNING), gate=CameraOverride(removed=True))
    assert "cam-2 STARTING" in rows
    assert "gate removed" in rows


def test_what_is_under_way_and_what_failed_stands_below() -> None:
    shard = ShardReport(shard="parts-live-1", state="STARTING", last_error="it died")
    rows = table(report(RUNNING, desired_version=4, shards=[shard], problems={"x": "no recipe"}))
    assert "up 2 h, 0 of 1 shards running" in rows
    assert "shard parts-live-1: it died" in rows
    assert "the last change is being put into force" in rows
    assert "camera x: its change is not in force: no recipe" in rows
