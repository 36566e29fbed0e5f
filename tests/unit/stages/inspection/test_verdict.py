"""The verdict table: what was seen, what may be said."""

from __future__ import annotations

import pytest

from stages.inspection.part import Votes
from stages.inspection.settings import Band, DefectRule, FeatureRule, InspectionSettings
from stages.inspection.verdict import Passage, decide
from stages.values import Verdict

PASS, REJECT, UNSURE = Verdict.PASS, Verdict.REJECT, Verdict.INDETERMINATE

SETTINGS = InspectionSettings(
    part_label="bottle",
    trigger=((0.6, 0.0), (0.6, 1.0)),
    required=(
        FeatureRule(label="cap"),
        FeatureRule(label="level", center_y=Band(min=0.71, max=0.86, below="low_fill", margin=0.02)),
    ),
    defects=(DefectRule(label="dent"),),
)


def passage(
    cap: int = 20,
    level: int = 20,
    dent: int = 0,
    *,
    usable: int = 20,
    shared: tuple[int, int, int] = (0, 0, 0),
    heights: list[float] | None = None,
    merged: int = 0,
    gap_s: float = 0.0,
    troubles: tuple[str, ...] = (),
) -> Passage:
    votes = Votes([cap, level, dent], list(shared), usable, merged)
    votes.heights[1] = bytearray(round((h + 0.1) * 200) for h in (heights or [0.78] * max(1, level)))
    return Passage(votes, usable + merged, gap_s, troubles)


@pytest.mark.parametrize(
    ("seen", "verdict", "reasons"),
    [
        pytest.param(passage(), PASS, (), id="everything seen all the time"),
        pytest.param(passage(cap=10), PASS, (), id="cap seen in exactly half of the frames"),
        pytest.param(passage(cap=9), UNSURE, ("uncertain_cap",), id="cap seen in less than half"),
        pytest.param(passage(cap=5), UNSURE, ("uncertain_cap",), id="cap seen more often than by mistake"),
        pytest.param(passage(cap=4), REJECT, ("missing_cap",), id="cap seen in exactly a fifth is missing"),
        pytest.param(passage(cap=0), REJECT, ("missing_cap",), id="cap never seen"),
        pytest.param(passage(cap=3, level=5, usable=5), UNSURE, ("uncertain_cap",), id="most frames but fewer than k"),
        pytest.param(passage(cap=4, level=5, usable=5), PASS, (), id="exactly k frames"),
        pytest.param(passage(cap=4, level=4, usable=4), UNSURE, ("too_few_votes",), id="one vote too few"),
        pytest.param(passage(cap=0, level=0, usable=0), UNSURE, ("too_few_votes",), id="no usable frame at all"),
        pytest.param(passage(cap=0, usable=4), UNSURE, ("too_few_votes",), id="too few votes to call the cap missing"),
        pytest.param(
            passage(cap=2, shared=(10, 0, 0)), UNSURE, ("touching",), id="cap that may be the neighbour's"
        ),
        pytest.param(passage(dent=2), PASS, (), id="dent as often as a slip"),
        pytest.param(passage(dent=3), UNSURE, ("uncertain_dent",), id="dent oftener than a slip is never passed"),
        pytest.param(passage(dent=5), UNSURE, ("uncertain_dent",), id="dent just short of certain"),
        pytest.param(passage(dent=6), REJECT, ("dent",), id="dent in three of ten frames"),
        pytest.param(passage(cap=5, level=5, dent=2, usable=5), UNSURE, ("uncertain_dent",), id="2 of 5 frames"),
        pytest.param(passage(cap=5, level=5, dent=1, usable=5), PASS, (), id="one slip of few frames"),
        pytest.param(passage(dent=1, shared=(0, 0, 5)), UNSURE, ("touching",), id="dent that fits a neighbour too"),
        pytest.param(passage(dent=2, shared=(0, 0, 1)), UNSURE, ("uncertain_dent",), id="slips and shared add up"),
        pytest.param(passage(dent=8, shared=(0, 0, 8)), REJECT, ("dent",), id="a dent of its own beside a shared one"),
        pytest.param(passage(cap=0, dent=3), REJECT, ("missing_cap",), id="what is certain outweighs a doubt"),
        pytest.param(passage(cap=0, dent=20), REJECT, ("missing_cap", "dent"), id="both defects are named"),
        pytest.param(passage(heights=[0.62] * 20), REJECT, ("low_fill",), id="level far below its band"),
        pytest.param(passage(heights=[0.70] * 20), UNSURE, ("uncertain_level",), id="level within the margin, below"),
        pytest.param(passage(heights=[0.72] * 20), UNSURE, ("uncertain_level",), id="level within the margin, inside"),
        pytest.param(passage(heights=[0.74] * 20), PASS, (), id="level just inside"),
        pytest.param(passage(heights=[0.95] * 20), UNSURE, ("uncertain_level",), id="too high, and no name for it"),
        pytest.param(
            passage(heights=[0.62] * 8 + [0.78] * 12), UNSURE, ("uncertain_level",), id="two levels, more good"
        ),
        pytest.param(
            passage(heights=[0.62] * 12 + [0.78] * 8), UNSURE, ("uncertain_level",), id="two levels, more low"
        ),
        pytest.param(passage(level=2), REJECT, ("missing_level",), id="no level at all"),
        pytest.param(passage(gap_s=1.001), UNSURE, ("gap",), id="unseen for too long"),
        pytest.param(passage(gap_s=1.0), PASS, (), id="unseen for as long as may be"),
        pytest.param(passage(merged=3), PASS, (), id="run together in few of its frames"),
        pytest.param(passage(merged=6), UNSURE, ("touching",), id="run together in more than a fifth"),
        pytest.param(passage(cap=5, level=5, usable=5, merged=2), PASS, (), id="run together twice"),
        pytest.param(passage(troubles=("black",)), UNSURE, ("black",), id="camera black on the way"),
        pytest.param(passage(dent=20, troubles=("frozen",)), UNSURE, ("frozen",), id="no reject past blindness"),
        pytest.param(
            passage(cap=0, usable=2, gap_s=3, troubles=("lost",)), UNSURE, ("lost", "gap", "too_few_votes"), id="all"
        ),
    ],
)  # fmt: skip
def test_a_passage_gets_its_verdict(seen: Passage, verdict: Verdict, reasons: tuple[str, ...]) -> None:
    decision = decide(SETTINGS, seen)
    assert (decision.verdict, decision.reasons) == (verdict, reasons)


def test_a_certain_defect_is_told_though_the_part_cannot_be_judged() -> None:
    decision = decide(SETTINGS, passage(dent=20, troubles=("frozen",)))
    assert [found.name for found in decision.found] == ["dent"]


def test_no_defect_is_told_from_too_few_votes() -> None:
    assert decide(SETTINGS, passage(cap=0, level=3, usable=3)).found == ()


def test_without_a_single_sighting_of_a_feature_nothing_passes() -> None:
    for usable in range(60):
        for dent in (0, usable):
            assert decide(SETTINGS, passage(cap=0, level=usable, dent=dent, usable=usable)).verdict is not PASS
