"""The demo's acceptance counts what it says it counts."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pipeline.demo.line import BottleLine, PartTruth
from pipeline.demo.tally import CameraRecord, accepted, summary

START, FPS = 1_800_000_000.0, 10.0


def record() -> CameraRecord:
    """A camera that published ten frames a second from second 5 to second 45, and no verdict yet."""
    made = CameraRecord(BottleLine(3), START, FPS)
    for n in range(50, 451):
        at = START + n / FPS
        message = {"message_id": f"f{n}", "dropped_since_last": {}, "latency_ms": {"total": 80.0}}
        made.saw_frame(message, at)
    return made


def verdict(part: PartTruth, said: str | None = None, name: str = "") -> dict[str, Any]:
    at = START + part.trigger_at_s
    said = said or part.verdict
    return {"message_id": f"i{part.index}{name}", "verdict": said, "reasons": [], "votes": {}, "at": at}


def figures(made: CameraRecord, messages: list[dict[str, Any]]) -> dict[str, Any]:
    for message in messages:
        made.saw_inspection(message)
    return summary({"cam": made}, {m["message_id"]: m["at"] for m in messages})


def test_a_faultless_run_is_accepted() -> None:
    made = record()
    told = figures(made, [verdict(part) for part in made.counted_parts()])
    assert told["parts_truth"] == told["parts_inspected"] == told["verdicts_correct"] > 20
    assert (told["false_pass"], told["duplicates"], told["indeterminate"]) == (0, 0, 0)
    assert accepted(told)


def test_only_parts_whose_whole_way_was_watched_are_counted() -> None:
    counted = record().counted_parts()
    assert all(part.entered_at_s >= 5 and part.trigger_at_s <= 45 - 1 / FPS for part in counted)
    everything = BottleLine(3).parts(5, 45)
    assert len(counted) < len(everything)


def test_a_missing_verdict_is_noticed() -> None:
    made = record()
    told = figures(made, [verdict(part) for part in made.counted_parts()[1:]])
    assert told["parts_inspected"] == told["parts_truth"] - 1
    assert not accepted(told)


def test_a_second_verdict_for_a_part_is_a_duplicate_though_its_id_differs() -> None:
    made = record()
    parts = made.counted_parts()
    told = figures(made, [verdict(part) for part in parts] + [verdict(parts[3], name="again")])
    assert told["duplicates"] == 1
    assert not accepted(told)


def test_a_message_published_twice_is_a_duplicate() -> None:
    made = record()
    parts = made.counted_parts()
    told = figures(made, [verdict(part) for part in parts] + [verdict(parts[3])])
    assert told["duplicates"] == 1


def test_a_reject_that_passed_is_never_accepted() -> None:
    made = record()
    parts = made.counted_parts()
    bad = next(part for part in parts if part.verdict == "reject")
    told = figures(made, [verdict(part, "pass" if part is bad else None) for part in parts])
    assert told["false_pass"] == 1
    assert [m["truth"][0] for m in told["mistakes"]] == ["reject"]
    assert not accepted(told)


def test_indeterminate_counts_as_not_correct() -> None:
    made = record()
    parts = made.counted_parts()
    told = figures(made, [verdict(part, "indeterminate") for part in parts])
    assert (told["indeterminate"], told["verdicts_correct"]) == (len(parts), 0)


def test_nothing_seen_is_not_accepted() -> None:
    assert not accepted(summary({"cam": CameraRecord(BottleLine(3), START, FPS)}, {}))


def long_run() -> dict[str, Any]:
    """The figures of a faultless minute that showed just enough."""
    return {
        **{"parts_truth": 60, "parts_inspected": 60, "verdicts_correct": 60, "false_pass": 0, "duplicates": 0},
        **{"rejects_truth": 12, "reject_kinds_truth": ["a", "b", "c", "d"], "touching_pairs_truth": 5},
        "watched_s": 60.0,
    }


def test_a_long_run_that_showed_enough_is_accepted() -> None:
    assert accepted(long_run())


@pytest.mark.parametrize(
    "less",
    [
        pytest.param({"parts_truth": 59, "parts_inspected": 59, "verdicts_correct": 59}, id="parts"),
        pytest.param({"rejects_truth": 11}, id="rejects"),
        pytest.param({"reject_kinds_truth": ["a", "b", "c"]}, id="kinds of rejects"),
        pytest.param({"touching_pairs_truth": 4}, id="touching pairs"),
    ],
)
def test_a_long_run_that_showed_too_little_is_not_accepted_and_a_short_one_is(less: dict[str, Any]) -> None:
    assert not accepted(long_run() | less)
    assert accepted(long_run() | less | {"watched_s": 59.9})


def test_how_long_was_watched_is_told() -> None:
    assert figures(record(), [])["watched_s"] == 40.0


def test_touching_pairs_are_counted_by_neighbours() -> None:
    made = CameraRecord(BottleLine(3), START, FPS, first_at=START + 5, last_at=START + 95)
    told = figures(made, [])
    assert told["touching_pairs_truth"] >= 5
    assert told["rejects_truth"] >= 12
    assert len(told["reject_kinds_truth"]) >= 4


def test_a_verdict_on_a_part_that_was_under_way_at_the_start_is_nobodys_duplicate() -> None:
    made = record()
    parts = made.counted_parts()
    early = {"message_id": "early", "verdict": "indeterminate", "reasons": [], "votes": {}, "at": START + 5.3}
    told = figures(made, [verdict(part) for part in parts] + [early])
    assert (told["duplicates"], told["parts_inspected"]) == (0, len(parts))


def test_a_verdict_between_two_counted_parts_that_belongs_to_neither_is_counted() -> None:
    made = record()
    parts = made.counted_parts()
    gap = max(itertools.pairwise(parts), key=lambda pair: pair[1].trigger_at_s - pair[0].trigger_at_s)
    at = START + (gap[0].trigger_at_s + gap[1].trigger_at_s) / 2
    told = figures(made, [verdict(part) for part in parts] + [{**verdict(parts[0], name="x"), "at": at}])
    assert told["duplicates"] == 1
