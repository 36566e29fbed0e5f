"""The drill's own judgement: a count that misses nothing, and a recovery that is dated by its last gap."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bench.chaos.count import count_live, count_replayable
from bench.chaos.drill import _order, passed
from bench.chaos.flow import GAP_S, recovery_s
from bench.chaos.memory import slope


def frame(position: str, number: int | None, seq: int = 0, **dropped: int) -> dict[str, Any]:
    return {
        "message_id": position,
        "source": {"position": position},
        "model": {"name": "numbers"},
        "seq": seq,
        "objects": [] if number is None else [{"box": [number % 600, number // 600, 0, 0]}],
        "dropped_since_last": dropped,
        "error": "failed" if number is None else None,
    }


def film(*numbers: int) -> list[dict[str, Any]]:
    return [frame(f"file:abc|0|{n}", n) for n in numbers]


@pytest.mark.parametrize(
    ("numbers", "lost", "duplicated", "out_of_order"),
    [
        pytest.param([0, 1, 2, 3], 0, 0, 0, id="all of it"),
        pytest.param([0, 3], 2, 0, 0, id="two are missing"),
        pytest.param([2, 3], 2, 0, 0, id="the first are missing"),
        pytest.param([0, 1, 1, 2], 0, 1, 0, id="one twice"),
        pytest.param([0, 2, 1, 3], 0, 0, 1, id="two change places"),
        pytest.param([], 0, 0, 0, id="nothing was published"),
    ],
)
def test_a_film_is_counted(numbers: list[int], lost: int, duplicated: int, out_of_order: int) -> None:
    counted = count_replayable(film(*numbers))
    assert (counted.lost, counted.duplicated, counted.out_of_order) == (lost, duplicated, out_of_order)


def test_a_partition_is_counted_by_its_offsets() -> None:
    assert count_replayable([frame(f"kafka:frames/0|{n}|0", n) for n in (0, 1, 3)]).lost == 1


def test_a_picture_under_another_ones_position_is_lost() -> None:
    assert count_replayable([frame("file:abc|0|0", 0), frame("file:abc|0|1", 7)]).lost == 1


def test_a_picture_the_model_did_not_answer_is_failed() -> None:
    assert count_replayable([frame("file:abc|0|0", None)]).failed == 1


def test_what_a_live_camera_lost_must_have_been_told_within_its_epoch() -> None:
    told = [frame("live|1|0", 0, 0), frame("live|1|3", 3, 3, queue_full=2)]
    untold = [frame("live|2|0", 50, 0), frame("live|2|4", 54, 4)]
    counted = count_live([*told, *untold])
    assert (counted.dropped, counted.untold, counted.duplicated, counted.out_of_order) == (2, 3, 0, 0)


def test_what_the_first_message_of_an_epoch_tells_was_lost_before_it() -> None:
    counted = count_live([frame("live|1|0", 0, 0, queue_full=5), frame("live|1|4", 4, 4)])
    assert (counted.dropped, counted.untold) == (5, 3)


def test_a_live_picture_that_comes_again_in_a_new_epoch_is_there_twice_and_out_of_order() -> None:
    counted = count_live([frame("live|1|0", 5), frame("live|1|1", 6, 1), frame("live|2|0", 5)])
    assert (counted.duplicated, counted.out_of_order) == (1, 1)


@pytest.mark.parametrize(
    ("came", "seconds"),
    [
        pytest.param([9.9, 10.1, 10.2, 10.9, 11.5], 0.0, id="never away"),
        pytest.param([9.9, 14.0, 14.1, 14.8], 4.0, id="away once"),
        pytest.param([9.9, 10.1, 14.0, 14.1, 17.0, 17.1], 7.0, id="away again before it was steady"),
        pytest.param([9.9, 10.1], None, id="still away"),
    ],
)
def test_a_recovery_ends_with_the_last_gap(came: list[float], seconds: float | None) -> None:
    now = came[-1] + (GAP_S / 2 if seconds is not None else 5 * GAP_S)
    assert recovery_s(came, 10.0, now) == (None if seconds is None else pytest.approx(seconds))


def test_a_slope_is_not_moved_by_deaths() -> None:
    grows = [(5.0 * n, 1000 + 0.5 * n - (300 if n % 7 == 0 else 0)) for n in range(60)]
    assert slope(grows) == pytest.approx(6.0, abs=0.5)
    assert slope(grows[:3]) is None


def test_every_kind_comes_as_often_as_the_others() -> None:
    order = _order(("a", "b", "c"), random.Random(1))
    drawn = [next(order) for _ in range(9)]
    assert {kind: drawn.count(kind) for kind in "abc"} == {"a": 3, "b": 3, "c": 3}


GOOD = {
    "kills": 3, "lost": 0, "duplicated": 0, "out_of_order": 0, "late": 0, "parts_truth": 9, "parts_inspected": 9,
    "parts_twice": 0, "false_pass": 0, "live": {"untold": 0, "untold_allowed": 0, "failed": 0},
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"kills": 0}, {"lost": 1}, {"duplicated": 1}, {"out_of_order": 1}, {"late": 1}, {"parts_inspected": 8},
        {"parts_truth": 0, "parts_inspected": 0}, {"parts_twice": 1}, {"false_pass": 1},
        {"live": {"untold": 1, "untold_allowed": 0, "failed": 0}},
        {"live": {"untold": 0, "untold_allowed": 0, "failed": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_one_wrong_figure_fails_the_drill(wrong: dict[str, Any]) -> None:
    assert passed(GOOD)
    assert not passed(GOOD | wrong)
