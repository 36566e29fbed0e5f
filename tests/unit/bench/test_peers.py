"""What is made of peers' answers: medians, shares, ratios, and what could not be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.peers.__main__ import Candidate, answer_in, ask, given
from bench.peers.adapter import Meter, quantiles
from bench.peers.comparison import compared, table


def answers(*fps: float, latency_ms: dict[str, float] | None = None) -> list[dict[str, Any]]:
    """What an adapter says, by round."""
    return [
        {
            "frames": round(one * 20),
            "seconds": 20.0,
            "frames_by_camera": [round(one * 5)] * 4,
            "latency_ms": latency_ms,
            "cpu_s": 40.0,
            "version": "v",
            "runtime": "r",
            "tracker": "t",
        }
        for one in fps
    ]


FAILED = {"error": "ended with 1: no such thing"}


def test_frames_a_second_are_told_as_median_and_range_and_share_of_bare() -> None:
    found = compared({"rayline": answers(20, 18, 22)}, [25, 24, 26, 25])
    rayline = found["candidates"]["rayline"]
    assert found["bare_fps"] == {"median": 25, "low": 24, "high": 26}
    assert rayline["fps"] == {"median": 20, "low": 18, "high": 22}
    assert rayline["share_of_bare"] == 0.8
    assert rayline["cpu_ms_per_frame"] == 100
    assert "rayline_over_it" not in rayline


def test_the_ratio_is_of_medians_and_its_range_of_single_rounds() -> None:
    found = compared({"rayline": answers(20, 18, 22), "roboflow": answers(10, 12, 10)}, [25])
    assert found["candidates"]["roboflow"]["rayline_over_it"] == {"median": 2.0, "low": 1.5, "high": 2.2}


def test_rayline_in_8_bits_is_held_against_the_others_in_a_column_of_its_own() -> None:
    found = compared({"rayline": answers(20), "roboflow": answers(16), "rayline in 8 bits": answers(32)}, [25])
    candidates = found["candidates"]
    assert candidates["roboflow"]["rayline_int8_over_it"]["median"] == 2.0
    assert candidates["rayline"]["rayline_int8_over_it"]["median"] == 1.6
    assert found["goals"]["roboflow"]["is_met"] is False, "a goal is one of the same model"
    assert "| roboflow | 16 (16 to 16) | 0.64 | 1.25 (1.25 to 1.25) | 2 (2 to 2) | - |" in "\n".join(table(found))


def test_a_pt_is_run_as_it_is_where_there_is_one() -> None:
    assert [one.weights for one in given("x.pt") if one.is_given_pt] == [Path("x.pt")]
    assert [one.name for one in given("x.onnx")] == [one.name for one in given("x.pt") if not one.is_given_pt]


def test_goals_are_met_missed_or_unknown() -> None:
    slow = compared({"rayline": answers(20), "roboflow": answers(15), "ultralytics": answers(5)}, [25])
    assert slow["goals"] == {
        "roboflow": {"least": 1.4, "is_met": False},
        "ultralytics": {"least": 4.0, "is_met": True},
    }
    assert compared({"rayline": answers(20)}, [25])["goals"]["ultralytics"]["is_met"] is None


def test_a_tool_run_in_two_ways_counts_as_the_faster() -> None:
    runs = {"rayline": answers(20), "roboflow": answers(10), "roboflow, its default mode": answers(15)}
    assert compared(runs, [25])["goals"]["roboflow"]["is_met"] is False


def test_where_roboflow_cannot_run_its_recorded_share_stands_marked() -> None:
    found = compared({"rayline": answers(20, 24), "roboflow": [FAILED, FAILED]}, [25])
    roboflow = found["candidates"]["roboflow"]
    assert (roboflow["measured"], roboflow["share_of_bare"], roboflow["fps"]["median"]) == (False, 0.61, 15.25)
    assert roboflow["errors"] == [FAILED["error"]] * 2
    assert roboflow["rayline_over_it"] == {"median": 1.44, "low": 1.31, "high": 1.57}
    assert "roboflow (recorded, not measured)" in "\n".join(table(found))


def test_a_round_that_failed_is_told_and_leaves_the_others() -> None:
    found = compared({"rayline": answers(20, 30), "ultralytics": [FAILED, *answers(5)]}, [25])
    peer = found["candidates"]["ultralytics"]
    assert (peer["fps"]["median"], peer["errors"]) == (5, [FAILED["error"]])
    assert peer["rayline_over_it"] == {"median": 5.0, "low": 6.0, "high": 6.0}


def test_a_peer_that_never_ran_has_no_figures() -> None:
    found = compared({"rayline": answers(20), "ultralytics": [FAILED]}, [25])
    assert found["candidates"]["ultralytics"] == {"errors": [FAILED["error"]]}
    assert "not measured: ended with 1" in "\n".join(table(found))


def test_latency_is_the_median_of_the_rounds_that_tell_it() -> None:
    runs = {"loop": [*answers(9, latency_ms={"p50": 100.0, "p95": 200.0}), *answers(9)]}
    assert compared(runs, [25])["candidates"]["loop"]["latency_ms"] == {"p50": 100, "p95": 200}


def test_the_meter_leaves_out_the_warm_up_and_what_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.peers.adapter.time.monotonic", lambda: now[0])
    meter, going = Meter(seconds=10.0, warm_up_s=5.0), []
    for second in range(18):
        now[0] = 100.0 + second
        going.append(meter.saw(second % 2, grabbed_at=now[0] - 0.25))
    assert going == [True] * 15 + [False] * 3
    assert (meter.figures()["frames"], meter.figures()["frames_by_camera"]) == (10, [5, 5])
    assert meter.figures()["latency_ms"] == {"p50": 250, "p95": 250}


def test_a_peer_that_does_not_tell_when_it_grabbed_has_no_latency() -> None:
    assert quantiles([]) is None


def test_an_answer_is_found_behind_what_the_peer_wrote() -> None:
    assert answer_in('Loading ...\n\n{"frames": 3}\n') == {"frames": 3}
    assert answer_in('{"frames": 0}') == {"error": "it gave no frames"}
    assert answer_in("bye") == {"error": "its last line is no answer: 'bye'"}
    assert "error" in answer_in("")


def test_a_peer_that_is_not_installed_is_told() -> None:
    absent = Candidate("roboflow", "roboflow", python=Path("/nowhere/.venv-peers/bin/python"))
    assert ask(absent, Path("x.onnx"), [], 1.0) == {"error": "not installed: `make bench-peers` makes .venv-peers"}


def test_a_peer_that_falls_over_is_told_with_its_last_words() -> None:
    found = ask(Candidate("none", "no_such_adapter"), Path("x.onnx"), [], 1.0)
    assert found["error"].startswith("ended with 1: ")
    assert "no_such_adapter" in found["error"]
