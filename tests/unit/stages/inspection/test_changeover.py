"""A change of recipe with parts on the belt: each is judged once, by the rules it was first seen under or by none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stages.inspection.inspector import Inspector
from stages.inspection.rules import Rules
from stages.inspection.settings import DefectRule, FeatureRule, InspectionSettings
from stages.inspection.trigger import WHOLE
from stages.values import Inspection, Position, Verdict
from tests.unit.stages.inspection.line import CAMERA, CLASSES, SETTINGS, Line, Shown, bottles, run

PASS, REJECT, UNSURE = Verdict.PASS, Verdict.REJECT, Verdict.INDETERMINATE
RUN = "run1"


def by(recipe: str, settings: InspectionSettings = SETTINGS) -> Inspector:
    return Inspector(settings, CAMERA, "station", RUN, CLASSES, recipe=recipe)


def changed(**changes: object) -> InspectionSettings:
    return SETTINGS.model_copy(update=changes)


# dents do not matter; a part without a cap is good
LENIENT = changed(required=(FeatureRule(label="level"),), defects=(DefectRule(label="crooked_label"),))


def change_at(
    t: float, frames: Sequence[Shown], new: Inspector, old: Inspector | None = None
) -> tuple[list[Inspection], list[Inspection]]:
    """All verdicts, those told at the change apart."""
    old = old or by("old")
    first = run([f for f in frames if f.at < 1000 + t], old)
    told = list(old.succeeded_by(new, 1000 + t, sees_alike=True))
    after = run([f for f in frames if f.at >= 1000 + t], new)
    return first.inspections + told + after.inspections, told


DENTS = bottles(*["dent"] * 8)


@pytest.mark.parametrize("t", [2.0, 3.1, 4.7, 6.0])
def test_parts_under_way_are_judged_by_the_rules_they_were_first_seen_under(t: float) -> None:
    """The belt is never empty. By the old rules a dent rejects, by the new ones nobody looks for it."""
    line = Line(DENTS)
    verdicts, told = change_at(t, list(line.frames(12)), by("new", LENIENT))
    assert told == []
    assert [i.inspection_id for i in verdicts] == [f"cam/run1/{n + 1}" for n in range(len(DENTS))]
    expected = {"old": REJECT, "new": PASS}
    assert all(i.verdict is expected[i.recipe] for i in verdicts)
    names = [i.recipe for i in verdicts]
    assert names == sorted(names, reverse=True)  # "old" up to one part, "new" behind it
    assert {"old", "new"} == set(names)


@pytest.mark.parametrize("t", [2.0, 4.7])
def test_rules_swapped_the_other_way_let_no_part_pass_that_the_old_ones_would_pass_and_nobody_looked_at(
    t: float,
) -> None:
    verdicts, _ = change_at(t, list(Line(DENTS).frames(12)), by("new"), by("old", LENIENT))
    expected = {"old": PASS, "new": REJECT}
    assert len(verdicts) == len(DENTS)
    assert all(i.verdict is expected[i.recipe] for i in verdicts)


def test_a_gap_between_parts_is_seen() -> None:
    old, line = by("old"), Line(bottles(None, None))
    seen: dict[bool, int] = {True: 0, False: 0}
    for frame in line.frames(10):
        run([frame], old)
        seen[old.under_way == 0] += 1
    assert seen[True] > 10
    assert seen[False] > 10
    assert old.under_way == 0


MOVED_TRIGGER = changed(trigger=((0.45, 0.0), (0.45, 1.0)))
OTHERWISE: list[tuple[str, InspectionSettings]] = [
    ("the trigger lies upstream", MOVED_TRIGGER),
    ("the trigger lies downstream", changed(trigger=((0.8, 0.0), (0.8, 1.0)))),
    ("parts have a given length", changed(part_length=0.1)),
]


@pytest.mark.parametrize(("what", "settings"), OTHERWISE, ids=[what for what, _ in OTHERWISE])
@pytest.mark.parametrize("t", [2.0, 2.9, 3.1, 4.7, 5.3])
def test_where_parts_are_found_otherwise_those_under_way_are_told_and_none_is_lost_or_doubled(
    what: str, settings: InspectionSettings, t: float
) -> None:
    good = bottles(*[None] * 8)
    verdicts, told = change_at(t, list(Line(good).frames(14)), by("new", settings))
    assert len(verdicts) == len(good)
    assert len({i.inspection_id for i in verdicts}) == len(good)
    assert told
    assert all(i.verdict is UNSURE and "changeover" in i.reasons and i.recipe == "old" for i in told)
    assert {i.verdict for i in verdicts if i not in told} == {PASS}


def test_on_a_belt_that_stands_what_waits_before_the_trigger_is_told_and_not_judged_again() -> None:
    """Nothing has moved since the camera came: nobody can be sure that these are parts."""
    good = bottles(None, None, None, start=330.0)
    line = Line(good, travel=lambda t: 125.0 * max(0.0, t - 4))
    verdicts, told = change_at(3.0, list(line.frames(12)), by("new", MOVED_TRIGGER))
    assert len(told) == 3
    assert [i.reasons[0] for i in told] == ["changeover"] * 3
    assert verdicts == told


def test_a_part_that_the_old_trigger_was_not_for_is_not_judged_by_half_of_its_pictures() -> None:
    """It came down a lane that nobody watched; the new trigger lies across that lane as well."""
    beside = changed(trigger=((0.62, 0.0), (0.62, 0.2)))
    verdicts, told = change_at(3.1, list(Line(bottles(*[None] * 4)).frames(12)), by("new"), by("old", beside))
    assert told == []
    halves = [i for i in verdicts if i.verdict is UNSURE]
    assert halves
    assert all(i.reasons == ("changeover",) and i.recipe == "new" for i in halves)
    assert {i.verdict for i in verdicts if i not in halves} == {PASS}


def test_without_rules_from_now_on_parts_under_way_are_told() -> None:
    old = by("old")
    first = run([f for f in Line(bottles(*[None] * 6)).frames(4)], old)
    judged = old.retire(1004.1)
    assert first.inspections
    assert judged.inspections
    assert {(i.verdict, i.reasons[0]) for i in judged.inspections} == {(UNSURE, "changeover")}


def test_frames_that_are_no_evidence_move_parts_and_count_no_votes() -> None:
    frames = list(Line(bottles(None)).frames(8))
    subject = by("r")
    found = [
        i
        for n, f in enumerate(frames)
        for i in subject.update(
            f.tracks, f.size_wh, Position("live", 1, n), f.at, f.health, f.at, is_evidence=False
        ).inspections
    ]
    assert [(i.verdict, i.votes["usable"]) for i in found] == [(UNSURE, 0)]


@pytest.mark.parametrize("when", [2.1, 3.0, 4.5])
@pytest.mark.parametrize("others", [True, False], ids=["the old rules are known", "the old rules are not known"])
def test_a_checkpoint_in_the_middle_goes_on_by_both_rules(when: float, others: bool) -> None:
    frames = list(Line(DENTS).frames(12))
    old, new = by("old"), by("new", LENIENT)
    first = run([f for f in frames if f.at < 1002], old)
    old.succeeded_by(new, 1002.0, sees_alike=True)
    second = run([f for f in frames if 1002 <= f.at < 1000 + when], new)
    orphans = {f"cam/{RUN}/{part.track_id}" for part in new._parts._known if part.rules.name == "old" and not part.done}
    assert new.has_older is bool(orphans)
    again = by("new", LENIENT)
    known = [Rules(SETTINGS, CLASSES, WHOLE, "old")] if others else []
    again.restore(new.checkpoint(), known)
    third = run([f for f in frames if f.at >= 1000 + when], again)
    verdicts = first.inspections + second.inspections + third.inspections
    assert [i.inspection_id for i in verdicts] == [f"cam/run1/{n + 1}" for n in range(len(DENTS))]
    expected = {"old": REJECT, "new": PASS}
    orphaned = [i for i in third.inspections if i.inspection_id in orphans and not others]
    assert all(i.verdict is expected[i.recipe] for i in verdicts if i not in orphaned)
    assert all(i.verdict is UNSURE and i.reasons[0] == "changeover" for i in orphaned)
    assert len(orphaned) == (0 if others else len(orphans))
    assert "old" in {i.recipe for i in verdicts} or not others


def test_rules_of_the_same_words_and_another_recipe_are_other_rules() -> None:
    """How many pictures a part needs is not in the words; whose it is, is."""
    frames = list(Line(bottles(None)).frames(6))
    before, after = by("old"), by("new", changed(min_votes=5))
    run(frames[:12], before)
    assert before.under_way == 1
    after.restore(before.checkpoint())
    (inspection,) = run(frames[12:], after).inspections
    assert (inspection.verdict, inspection.reasons) == (UNSURE, ("changeover",))


def test_parts_go_by_the_rules_of_a_recipe_that_came_back() -> None:
    """There and back again without a gap: the first recipe is the last one too, and its parts are judged by it."""
    frames = list(Line(DENTS).frames(12))
    first, second, third = by("old"), by("new", LENIENT), by("old")
    verdicts = run([f for f in frames if f.at < 1002], first).inspections
    first.succeeded_by(second, 1002.0, sees_alike=True)
    verdicts += run([f for f in frames if 1002 <= f.at < 1002.3], second).inspections
    second.succeeded_by(third, 1002.3, sees_alike=True)
    again = by("old")
    again.restore(third.checkpoint(), [Rules(LENIENT, CLASSES, WHOLE, "new")])
    verdicts += run([f for f in frames if f.at >= 1002.3], again).inspections
    expected = {"old": REJECT, "new": PASS}
    assert len(verdicts) == len(DENTS)
    assert all(i.verdict is expected[i.recipe] for i in verdicts)


def test_a_larger_product_behind_a_gap_is_not_taken_for_touching_parts() -> None:
    """Its size is not known yet; by the size of the parts before it would be two of them."""
    old = by("old")
    run(Line(bottles(*[None] * 4)).frames(12), old)
    assert old._parts.belt.part_size() is not None
    new = by("new")
    old.succeeded_by(new, 1012.0, sees_alike=True)
    assert new._parts.belt.part_size() is None
    assert new._parts.belt.cruise == pytest.approx(old._parts.belt.cruise)
