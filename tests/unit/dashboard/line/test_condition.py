"""A line's state is the worst that is so of it, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dashboard.line.condition import CameraOnLine, LineState, Parts, conditions, lately_s
from pipeline.orchestrate.state import CameraReport, SystemReport

NOW = 1_000_000.0


def camera(name: str = "cam-1", **said: Any) -> CameraReport:
    told = {"state": "running", "since": NOW - 600, "frames_in": 900, "frames_out": 900, "fps_in": 10, "fps_out": 10}
    return CameraReport(camera=name, line="filling", station=name, model="bottles", **(told | said))


def report(*cameras: CameraReport) -> SystemReport:
    return SystemReport(at=NOW, started_at=NOW - 900, cameras=cameras)


ONE = [CameraOnLine("cam-1")]
LATELY = Parts(last_at=NOW - 3)


@pytest.mark.parametrize(
    ("said", "parts", "state"),
    [
        pytest.param({}, LATELY, LineState.RUNNING, id="parts come"),
        pytest.param({}, Parts(last_at=NOW - 61), LineState.STARVED, id="no part for a minute"),
        pytest.param({}, Parts(last_at=None), LineState.STARVED, id="no part ever"),
        pytest.param({"since": NOW - 5}, Parts(NOW - 9000), LineState.RUNNING, id="it has only begun to see"),
        pytest.param({}, Parts(NOW - 30, target_per_hour=3600), LineState.STARVED, id="a fast line starves sooner"),
        pytest.param({}, Parts(NOW - 300, target_per_hour=60), LineState.RUNNING, id="a slow line starves later"),
        pytest.param({}, None, LineState.RUNNING, id="nobody knows of parts"),
        pytest.param({"health": "covered"}, LATELY, LineState.BLIND, id="covered"),
        pytest.param({"state": "reconnecting", "last_error": "refused"}, LATELY, LineState.AWAY, id="lost"),
        pytest.param({"state": "failed"}, LATELY, LineState.AWAY, id="failed"),
        pytest.param({"state": "connecting", "since": NOW - 1}, LATELY, LineState.STARTING, id="connects"),
        pytest.param({"state": "connecting", "since": NOW - 60}, LATELY, LineState.AWAY, id="does not connect"),
        pytest.param({"state": "paused"}, LATELY, LineState.PAUSED, id="paused"),
        pytest.param({"state": "ended", "health": "stale"}, LATELY, LineState.ENDED, id="at its end"),
        pytest.param({"frames_out": 0, "health": "stale"}, LATELY, LineState.LOADING, id="no result yet"),
        pytest.param({"fps_out": 0}, LATELY, LineState.STALLED, id="results stopped"),
        pytest.param({"state": "on fire"}, LATELY, LineState.AWAY, id="a state that nobody knows"),
    ],
)
def test_a_line_is_in_the_state_of_its_camera(said: dict[str, Any], parts: Parts | None, state: LineState) -> None:
    assert conditions(ONE, report(camera(**said)), parts, NOW)[0].state == state


def test_nothing_reports() -> None:
    assert conditions(ONE, None, LATELY, NOW)[0].state == LineState.SILENT


def test_a_line_without_a_camera_says_so() -> None:
    assert conditions([], report(), LATELY, NOW)[0].because == "line.because.no_camera"


def test_a_camera_that_nobody_reports_yet_is_starting() -> None:
    found = conditions(ONE, report(), LATELY, NOW)[0]
    assert (found.state, found.values) == (LineState.STARTING, {"camera": "cam-1"})


def test_the_worst_comes_first_and_the_others_are_told_too() -> None:
    cameras = [CameraOnLine("cam-1"), CameraOnLine("cam-2", counts=False), CameraOnLine("cam-3", counts=False)]
    told = report(camera("cam-1", state="paused"), camera("cam-2", health="black"), camera("cam-3"))
    found = conditions(cameras, told, LATELY, NOW)
    assert [(each.state, each.values["camera"]) for each in found] == [
        (LineState.BLIND, "cam-2"),
        (LineState.PAUSED, "cam-1"),
    ]
    assert found[0].values["health"] == "black"


def test_one_recording_at_its_end_does_not_end_the_line() -> None:
    cameras = [CameraOnLine("cam-1"), CameraOnLine("cam-2")]
    assert (
        conditions(cameras, report(camera("cam-1", state="ended"), camera("cam-2")), LATELY, NOW)[0].state == "running"
    )


def test_a_starved_line_says_since_when() -> None:
    assert conditions(ONE, report(camera()), Parts(NOW - 90), NOW)[0].since == NOW - 90


@pytest.mark.parametrize(("target", "seconds"), [(None, 60.0), (600.0, 60.0), (36_000.0, 20.0), (60.0, 600.0)])
def test_lately_is_ten_parts_time(target: float | None, seconds: float) -> None:
    assert lately_s(target) == seconds
