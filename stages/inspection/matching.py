"""Which box is which part: by where the belt must have brought it, with the tracker's ids as a hint.

A tracker swaps ids between touching parts and hands them on after a stall; a belt does not. So identity is place, and
ids only say how far the belt may have gone when it did not go on as it did.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stages.inspection.belt import Belt
from stages.inspection.boxes import PartBox
from stages.inspection.part import Part
from stages.inspection.trigger import Box, Extent, Way, center

DRIFT = 0.15  # error of the odometer, as a share of the travel since a part was seen
MAX_DRIFT = 0.25  # and at most so many part lengths
STANDSTILL = 0.15  # part lengths within which a part has not moved
ALIAS = 0.5  # part lengths of travel between two frames from which neighbours could be mixed up
HURRY = 1.5  # how much faster than ever before the belt may have gone
COVERED = 0.6  # share of a box that others cover from which it is no part of its own
LINK_BONUS = 0.5  # how much nearer, in reaches, the box on the same track counts


@dataclass(frozen=True, slots=True)
class Matching:
    """What a frame's boxes are."""

    travel: float  # how far the belt went since the frame before
    measured: bool  # by parts seen whole, not only extrapolated
    pairs: list[tuple[Part, PartBox]]
    strangers: list[PartBox]  # parts not known yet
    unsure: bool  # the belt may have gone otherwise, and then these are other parts


class Matcher:
    """Finds the parts again."""

    def __init__(self, way: Way, dedupe_distance: float) -> None:
        self._way = way
        self._dedupe = dedupe_distance

    def match(
        self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float, size: Extent | None
    ) -> Matching:
        """One box at most for each part and one part at most for each box, nearest first."""
        travel, unsure = self._travel(parts, boxes, belt, at, size)
        pairs = self._pairs(parts, boxes, belt.travel + travel, size)
        correction = self._correction(pairs, belt, travel)
        strangers = self._strangers(boxes, [box for _, box in pairs], size)
        return Matching(travel + (correction or 0.0), correction is not None, pairs, strangers, unsure)

    def _travel(
        self, parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float, size: Extent | None
    ) -> tuple[float, bool]:
        """How far the belt most likely went, and whether that is in doubt."""
        expected = belt.expected(at)
        if not parts or not boxes:
            return expected, False
        links = _links(parts, boxes)
        agreeing = sum(self._fits(part, box, belt.travel + expected, size) for part, box in links)
        if links and 2 * agreeing > len(links):
            return expected, False
        travel = self._best(parts, boxes, links, belt, at, size)
        length = max(self._way.extent(box.box).along for box in boxes) if size is None else size.along
        ambiguous = belt.usual(at) > ALIAS * length
        return travel, ambiguous and (bool(links) or travel != expected)

    def _best(
        self,
        parts: Sequence[Part],
        boxes: Sequence[PartBox],
        links: Sequence[tuple[Part, PartBox]],
        belt: Belt,
        at: float,
        size: Extent | None,
    ) -> float:
        expected = belt.expected(at)
        best, best_found = expected, self._found(parts, boxes, belt.travel + expected, size)[0]
        for travel, trusted in self._guesses(parts, boxes, links, belt, at, size):
            found, present = self._found(parts, boxes, belt.travel + travel, size)
            if 2 * found <= present or (found < 2 and not trusted):
                continue
            if (found, -abs(travel - expected)) > (best_found, -abs(best - expected)) and found > 0:
                best, best_found = travel, found
        return best

    def _guesses(
        self,
        parts: Sequence[Part],
        boxes: Sequence[PartBox],
        links: Sequence[tuple[Part, PartBox]],
        belt: Belt,
        at: float,
        size: Extent | None,
    ) -> Iterator[tuple[float, bool]]:
        """Other travels that would explain a box, and whether one part found so is enough."""
        yield 0.0, False
        yield belt.usual(at), True
        linked = {(id(part), id(box)) for part, box in links}
        for part in parts:
            for box in boxes:
                moved = self._moved(part, box)
                length = self._length(part, box, size)
                farthest = HURRY * belt.fastest * max(0.0, at - part.seen_at) + self._dedupe * length
                on_link = (id(part), id(box)) in linked and (abs(moved) <= farthest or belt.cruise is None)
                if on_link or -STANDSTILL * length <= moved <= farthest:
                    yield moved - (belt.travel - part.travel), on_link or abs(moved) <= STANDSTILL * length

    def _found(
        self, parts: Sequence[Part], boxes: Sequence[PartBox], travel: float, size: Extent | None
    ) -> tuple[int, int]:
        """Of the parts that would be in the picture: how many are, and how many there are."""
        present = [part for part in parts if in_picture(self._way.carried(part.box, travel - part.travel))]
        return sum(any(self._fits(part, box, travel, size) for box in boxes) for part in present), len(present)

    def _pairs(
        self, parts: Sequence[Part], boxes: Sequence[PartBox], travel: float, size: Extent | None
    ) -> list[tuple[Part, PartBox]]:
        costs = []
        for i, part in enumerate(parts):
            for j, box in enumerate(boxes):
                if (away := self._away(part, box, travel, size)) <= 1:
                    linked = box.link >= 0 and box.link == part.link
                    costs.append((away - LINK_BONUS * linked + box.merged, i, j))
        pairs: list[tuple[Part, PartBox]] = []
        taken_parts: set[int] = set()
        taken_boxes: set[int] = set()
        for _, i, j in sorted(costs):
            if i not in taken_parts and j not in taken_boxes:
                taken_parts.add(i)
                taken_boxes.add(j)
                pairs.append((parts[i], boxes[j]))
        return pairs

    def _correction(self, pairs: Sequence[tuple[Part, PartBox]], belt: Belt, travel: float) -> float | None:
        """What the parts say the belt went beyond `travel`; None when none was seen whole."""
        whole = [(part, box) for part, box in pairs if box.clear]
        if belt.speed is None:
            whole = list(pairs)
        fresh = [(part, box) for part, box in whole if part.travel == belt.travel]
        away = [self._moved(part, box) - (belt.travel + travel - part.travel) for part, box in fresh or whole]
        return statistics.median(away) if away else None

    def _strangers(self, boxes: Sequence[PartBox], known: list[PartBox], size: Extent | None) -> list[PartBox]:
        """Boxes that are parts of their own: not a second box of a part that is there already."""
        places = [box.box for box in known]
        strangers: list[PartBox] = []
        rest = [box for box in boxes if all(box is not other for other in known)]
        for box in sorted(rest, key=lambda box: (box.merged, -box.score)):
            if box.track_id >= 0 and not self._is_second(box.box, places, size):
                strangers.append(box)
                places.append(box.box)
        return strangers

    def _is_second(self, box: Box, places: Sequence[Box], size: Extent | None) -> bool:
        area = (box[2] - box[0]) * (box[3] - box[1])
        if sum(_shared(box, other) for other in places) >= COVERED * area:
            return True
        x, y = center(box)
        for other in places:
            away = x - center(other)[0], y - center(other)[1]
            along, across = self._way.extent(other)
            length = max(along, size.along if size else 0.0)
            if (
                abs(self._way.along(away)) < self._dedupe * length
                and abs(self._way.across(away)) < self._dedupe * across
            ):
                return True
        return False

    def _fits(self, part: Part, box: PartBox, travel: float, size: Extent | None) -> bool:
        return self._away(part, box, travel, size) <= 1

    def _away(self, part: Part, box: PartBox, travel: float, size: Extent | None) -> float:
        """How far a box is from where the part must be, 1 = as far as may be."""
        length = self._length(part, box, size)
        breadth = max(self._way.extent(part.box).across, self._way.extent(box.box).across)
        drift = min(DRIFT * abs(travel - part.travel), MAX_DRIFT * length)
        along = abs(self._moved(part, box) - (travel - part.travel)) / (self._dedupe * length + drift)
        (x, y), (to_x, to_y) = center(part.box), center(box.box)
        return max(along, abs(self._way.across((to_x - x, to_y - y))) / (self._dedupe * breadth))

    def _moved(self, part: Part, box: PartBox) -> float:
        return self._way.along(center(box.box)) - self._way.along(center(part.box))

    def _length(self, part: Part, box: PartBox, size: Extent | None) -> float:
        own = max(self._way.extent(part.box).along, self._way.extent(box.box).along)
        return own if size is None else max(size.along, min(own, size.along * 1.5))


def in_picture(box: Box) -> bool:
    """True when the box's middle is."""
    x, y = center(box)
    return 0 <= x <= 1 and 0 <= y <= 1


def _links(parts: Sequence[Part], boxes: Sequence[PartBox]) -> list[tuple[Part, PartBox]]:
    by_link = {part.link: part for part in sorted(parts, key=lambda part: part.seen_at) if part.link >= 0}
    return [(by_link[box.link], box) for box in boxes if box.link in by_link]


def _shared(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0
