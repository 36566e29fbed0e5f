"""From what was seen on a part to its verdict: pure, and never PASS without positive evidence."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from stages.inspection.part import Votes
from stages.inspection.settings import Band, DefectRule, FeatureRule, InspectionSettings
from stages.values import Verdict

TOUCHING = "touching"
TOO_FEW_VOTES = "too_few_votes"
GAP = "gap"
LOST = "lost"
FIRST_SEEN_LATE = "first_seen_late"
IDENTITY_UNSURE = "identity_unsure"
CHANGEOVER = "changeover"  # under way when the recipe changed to one that finds parts otherwise


@dataclass(frozen=True, slots=True)
class Passage:
    """All a verdict rests on."""

    votes: Votes
    sightings: int
    gap_s: float = 0.0
    troubles: tuple[str, ...] = ()  # reasons from outside: camera health, lost, first seen late


@dataclass(frozen=True, slots=True)
class Found:
    """A defect that is certain. `rule` by index; `share` of usable frames that say so."""

    name: str
    rule: int
    share: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, why, and the defects that are certain (told also where the part cannot be judged)."""

    verdict: Verdict
    reasons: tuple[str, ...]
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class _Say:
    """What one rule says: a certain defect, a doubt, or neither."""

    found: Found | None = None
    doubt: str | None = None


def decide(settings: InspectionSettings, passage: Passage) -> Decision:
    """The verdict of one passage.

    Whatever stands in the way of judging at all makes it indeterminate. Else a certain defect rejects, a doubt makes
    it indeterminate, and only a part with neither passes.
    """
    says = _says(settings, passage.votes)
    found = tuple(say.found for say in says if say.found)
    obstacles = _obstacles(settings, passage)
    if obstacles:
        return Decision(Verdict.INDETERMINATE, obstacles, found if passage.votes.usable >= settings.min_votes else ())
    if found:
        return Decision(Verdict.REJECT, tuple(dict.fromkeys(defect.name for defect in found)), found)
    doubts = tuple(dict.fromkeys(say.doubt for say in says if say.doubt))
    if doubts:
        return Decision(Verdict.INDETERMINATE, doubts, ())
    return Decision(Verdict.PASS, (), ())


def _obstacles(settings: InspectionSettings, passage: Passage) -> tuple[str, ...]:
    obstacles = list(passage.troubles)
    if passage.gap_s * 1000 > settings.max_gap_ms:
        obstacles.append(GAP)
    merged = passage.votes.merged
    if merged >= settings.touching_frames and merged > settings.touching_share * passage.sightings:
        obstacles.append(TOUCHING)
    if passage.votes.usable < settings.min_votes:
        obstacles.append(TOO_FEW_VOTES)
    return tuple(dict.fromkeys(obstacles))


def _says(settings: InspectionSettings, votes: Votes) -> list[_Say]:
    says = [_feature(rule, i, votes) for i, rule in enumerate(settings.required)]
    first = len(settings.required)
    return says + [_defect(rule, first + j, votes) for j, rule in enumerate(settings.defects)]


def _feature(rule: FeatureRule, index: int, votes: Votes) -> _Say:
    seen, usable = votes.seen[index], max(1, votes.usable)
    if seen + votes.shared[index] <= rule.absent_share * usable:
        return _Say(found=Found(rule.missing_name, index, 1 - seen / usable))
    if seen < rule.min_frames or seen < rule.present_share * usable:
        return _Say(doubt=TOUCHING if votes.shared[index] > seen else f"uncertain_{rule.label}")
    if rule.center_y is None:
        return _Say()
    return _height(rule.center_y, rule.label, index, votes.heights_of(index))


def _height(band: Band, label: str, index: int, heights: Sequence[float]) -> _Say:
    middle = statistics.median(heights)
    low = sum(height < band.min for height in heights) / len(heights)
    high = sum(height > band.max for height in heights) / len(heights)
    if band.min + band.margin <= middle <= band.max - band.margin and 1 - low - high >= band.agree_share:
        return _Say()
    if middle <= band.min - band.margin and low >= band.agree_share and band.below:
        return _Say(found=Found(band.below, index, low))
    if middle >= band.max + band.margin and high >= band.agree_share and band.above:
        return _Say(found=Found(band.above, index, high))
    return _Say(doubt=f"uncertain_{label}")


def _defect(rule: DefectRule, index: int, votes: Votes) -> _Say:
    seen, shared, usable = votes.seen[index], votes.shared[index], max(1, votes.usable)
    if seen >= rule.min_frames and seen >= rule.min_share * usable:
        return _Say(found=Found(rule.defect, index, seen / usable))
    if seen + shared <= max(rule.ignore_frames, rule.ignore_share * usable):
        return _Say()
    return _Say(doubt=TOUCHING if shared > seen else f"uncertain_{rule.defect}")
