"""How far the belt went between two frames: as it did before, unless the parts say otherwise."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stages.inspection.belt import Belt
from stages.inspection.boxes import PartBox
from stages.inspection.nearness import Nearness
from stages.inspection.part import Part

STANDSTILL = 0.15  # part lengths a part that stands still may seem to go back
HURRY = 1.5  # how much faster than ever before the belt may have gone
EXACT = 0.3  # part lengths off at which a box no longer speaks for a guess
DIFFERENT = 0.3  # part lengths between two guesses that are not the same one
SAME = 0.05  # part lengths within which guesses are tried only once
MAX_GUESSES = 40  # tried in one frame, those nearest to going on as before
CLEAN = 1.0  # going on as before stands where less than so much speaks against it
BETTER = 1.5  # how much less must speak against another guess
USUAL_BETTER = 0.5  # the same, for starting and stopping
ALIAS = 0.5  # part lengths of travel between two frames from which neighbours could be mixed up
LONG = 3.0  # part lengths of travel from which nothing is left to tell that the belt went on


@dataclass(frozen=True, slots=True)
class Guess:
    """A possible travel, put right by the boxes it explains."""

    travel: float
    explained: int  # parts whose box is where it should be
    against: float  # what speaks against it: parts that should be seen, boxes that should be known, and how far off


@dataclass(frozen=True, slots=True)
class Travel:
    """The answer; `doubtful` where the belt may well have gone otherwise, and then these are other parts."""

    travel: float
    doubtful: bool = False


class TravelFinder:
    """Finds the travel that explains a frame. Makes no use of a single track: ids swap, spacing does not."""

    def __init__(self, near: Nearness) -> None:
        self._near = near

    def find(self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float) -> Travel:
        """How far the belt went since it was last seen."""
        expected = belt.expected(at)
        links = linked(parts, boxes)
        agreeing = sum(self._near.away(part, box, belt.travel + expected) <= 1 for part, box in links)
        if not parts or not boxes or 2 * agreeing > len(links):
            return Travel(expected)
        return self._weigh(parts, boxes, belt, at)

    def _weigh(self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float) -> Travel:
        length = self._near.length(parts[0], boxes[0])
        usual = self._usual(parts, boxes, belt, at)
        if usual.against < CLEAN:
            return self._unless_still(usual, parts, boxes, belt, at)
        rivals = self._rivals(usual, parts, boxes, belt, at)
        if not rivals:
            return Travel(usual.travel)
        rival, *others = sorted(rivals, key=lambda g: (g.against, -g.explained, abs(g.travel - usual.travel)))
        # A belt not yet known to move has carried no part far: nothing much could be mixed up.
        ambiguous = belt.cruise is not None and max(belt.usual(at), abs(rival.travel)) > ALIAS * length
        if rival.explained > usual.explained and rival.against <= usual.against - BETTER:
            different = [other for other in others if abs(other.travel - rival.travel) > DIFFERENT * length]
            alone = usual.explained == 0 and all(other.against >= rival.against + CLEAN for other in different)
            return Travel(rival.travel, ambiguous and not (alone and rival.explained > 1))
        as_good = 2 * rival.explained >= usual.explained and rival.against <= usual.against - USUAL_BETTER
        return Travel(usual.travel, ambiguous and as_good)

    def _usual(self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float) -> Guess:
        """The belt went on as it did, else started as it always runs, else stopped."""
        best = self._guess(parts, boxes, belt, belt.expected(at))
        for travel in (belt.usual(at), 0.0):
            if best.against < CLEAN:
                break
            other = self._guess(parts, boxes, belt, travel)
            if other.explained > 2 * best.explained and other.against <= best.against - USUAL_BETTER:
                best = other
        return best

    def _unless_still(
        self, usual: Guess, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float
    ) -> Travel:
        """After long blindness a belt that went on has taken all it could be told by; one that stood has not."""
        length = self._near.length(parts[0], boxes[0])
        if belt.usual(at) <= LONG * length:
            return Travel(usual.travel)
        still = self._guess(parts, boxes, belt, 0.0)
        stood = abs(still.travel) <= STANDSTILL * length and still.against < CLEAN
        if stood and still.explained > max(1, usual.explained):
            return Travel(still.travel, doubtful=True)
        return Travel(usual.travel)

    def _rivals(
        self, usual: Guess, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float
    ) -> list[Guess]:
        length = self._near.length(parts[0], boxes[0])
        possible = {round(travel / (SAME * length)): travel for travel in self._possible(parts, boxes, belt, at)}
        nearest = sorted(possible.values(), key=lambda travel: abs(travel - usual.travel))[:MAX_GUESSES]
        guesses = [self._guess(parts, boxes, belt, travel) for travel in nearest]
        return [guess for guess in guesses if abs(guess.travel - usual.travel) > DIFFERENT * length]

    def _possible(self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float) -> Iterator[float]:
        """Travels that would explain a box: from none to as far as the belt can have gone, or where a track leads."""
        links = {(id(part), id(box)) for part, box in linked(parts, boxes)}
        for part in parts:
            for box in boxes:
                moved, length = self._near.moved(part, box), self._near.length(part, box)
                unseen_s, slack = max(0.0, at - part.seen_at), self._near.dedupe * length
                on_link = (id(part), id(box)) in links
                back = -HURRY * belt.backing * unseen_s - (slack if on_link else STANDSTILL * length)
                ahead = HURRY * belt.fastest * unseen_s + slack
                if back <= moved <= ahead or (on_link and belt.cruise is None):
                    yield moved - (belt.travel - part.travel)

    def _guess(self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, travel: float) -> Guess:
        whole = [part for part in parts if part.whole]
        clear = [box for box in boxes if box.clear]
        pairs = [
            (part, box)
            for part in whole
            for box in clear
            if self._near.away(part, box, belt.travel + travel) <= 1
        ]  # fmt: skip
        off = [self._near.off(part, box, belt.travel + travel) for part, box in pairs]
        travel += statistics.median(off) if off else 0.0
        best: dict[int, float] = {}
        for part, box in pairs:
            off_by = abs(self._near.off(part, box, belt.travel + travel)) / (EXACT * self._near.length(part, box))
            if off_by < 1:
                best[id(part)] = min(best.get(id(part), 1.0), off_by**2)
        missed = sum(id(part) not in best and self._near.inside(part, belt.travel + travel) for part in whole)
        known = {id(box) for _, box in pairs}
        strange = sum(id(box) not in known and self._near.was_inside(box, travel) for box in clear)
        return Guess(travel, len(best), sum(best.values()) + missed + strange)


def linked(parts: Sequence[Part], boxes: Sequence[PartBox]) -> list[tuple[Part, PartBox]]:
    """Parts with the box on the same track."""
    by_link = {part.link: part for part in parts if part.link >= 0}
    return [(by_link[box.link], box) for box in boxes if box.link in by_link]
