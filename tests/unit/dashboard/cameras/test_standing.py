"""What a camera's tile says first, by what is desired and reported of it."""

from typing import Any

import pytest

from pipeline.control.cameras.answers import EXAMPLE, CameraView
from pipeline.dashboard.cameras import standing
from pipeline.dashboard.cameras.figures import drops, latency
from pipeline.dashboard.cameras.standing import ReportTimes, new_verdict, standing_of
from pipeline.dashboard.signs import SIGNS

NOW = 1_795_861_400.0


def view(**told: Any) -> CameraView:
    return CameraView.model_validate(EXAMPLE | {"last_frame_at": NOW - 0.1} | told)


def sign(age_s: float = 0.5, is_live: bool = True, written_at: float | None = NOW, **told: Any) -> tuple[str, str]:
    stands = standing_of(view(**told), ReportTimes(written_at, age_s), is_live)
    return stands.sign, SIGNS[stands.sign].css


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({}, ("running", "good"), id="well"),
        pytest.param({"state": "reconnecting"}, ("reconnecting", "bad"), id="killed"),
        pytest.param({"state": "failed"}, ("failed", "bad"), id="failed"),
        pytest.param({"health": "frozen"}, ("blind", "bad"), id="shows the same picture for ever"),
        pytest.param({"last_frame_at": NOW - 3.5}, ("stale", "bad"), id="silent, though it says it runs"),
        pytest.param({"last_frame_at": NOW - 3.5, "settings": {"fps": 0.5}}, ("running", "good"), id="seldom asked"),
        pytest.param({"last_frame_at": NOW - 99, "is_live": False}, ("running", "good"), id="a file that waits"),
        pytest.param({"paused": True, "state": "running"}, ("paused", "idle"), id="paused"),
        pytest.param({"age_s": 4.5}, ("unknown", "warn"), id="the supervisor is gone"),
        pytest.param({"written_at": None, "state": "unknown"}, ("unknown", "warn"), id="nothing runs"),
        pytest.param({"state": "starting"}, ("starting", "info"), id="just added"),
        pytest.param({"state": "ended"}, ("ended", "idle"), id="at its end"),
    ],
)
def test_one_sign_tells_how_a_camera_does(told: dict[str, Any], expected: tuple[str, str]) -> None:
    assert sign(**told) == expected


def test_why_is_told_in_words() -> None:
    lost = view(state="reconnecting", last_error="rtsp://u:***@h/1: refused")
    assert standing_of(lost, ReportTimes(NOW, 0.0), True).why == "rtsp://u:***@h/1: refused"
    assert standing_of(view(), ReportTimes(NOW, standing.REPORT_OLD_S + 3), True).why == "The last report is 7 s old."


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (None, {"pass": 9}, None),
        ({"pass": 9}, {"pass": 9}, None),
        ({"pass": 9}, {"pass": 10}, "pass"),
        ({"pass": 9}, {"pass": 10, "reject": 1}, "reject"),
        ({"pass": 9, "reject": 2}, {"pass": 1}, None),
    ],
    ids=["at first", "nothing new", "a pass", "a reject beside it", "counted anew"],
)
def test_the_worst_new_verdict_is_shown(
    before: dict[str, int] | None, now: dict[str, int], verdict: str | None
) -> None:
    assert new_verdict(before, now) == verdict


def test_figures_in_words() -> None:
    assert (latency(61.4, 93.5), latency(None, None)) == ("61 / 94 ms", "-")
    assert (drops({"stale": 3, "behind": 40, "late": 0}), drops({})) == ("40 behind, 3 stale", "none")
