"""Which box is which part: by where the belt must have brought it, with the tracker's ids as a hint.

A tracker swaps ids between touching parts and hands them on after a stall; a belt does not. So identity is place.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from stages.inspection.belt import Belt, ToldBy
from stages.inspection.boxes import PartBox
from stages.inspection.nearness import Nearness
from stages.inspection.part import Part
from stages.inspection.travel import TravelFinder
from stages.inspection.trigger import Box

COVERED = 0.6  # share of a box that others cover from which it is no part of its own
LINK_BONUS = 0.5  # how much nearer, in reaches, the box on the same track counts


@dataclass(frozen=True, slots=True)
class Matching:
    """What a frame's boxes are."""

    travel: float  # how far the belt went since the frame before
    told_by: ToldBy  # the parts that tell it
    pairs: list[tuple[Part, PartBox]]
    strangers: list[PartBox]  # parts not known yet
    doubtful: bool  # the belt may have gone otherwise, and then these are other parts


def match(parts: Sequence[Part], boxes: Sequence[PartBox], belt: Belt, at: float, near: Nearness) -> Matching:
    """One box at most for each part and one part at most for each box, nearest first."""
    found = TravelFinder(near).find(parts, boxes, belt, at)
    pairs = _pairs(parts, boxes, belt.travel + found.travel, near)
    more, told_by = _correction(pairs, belt, found.travel, near)
    strangers = _strangers(boxes, [box for _, box in pairs], near)
    return Matching(found.travel + more, told_by, pairs, strangers, found.doubtful)


def _pairs(
    parts: Sequence[Part], boxes: Sequence[PartBox], travel: float, near: Nearness
) -> list[tuple[Part, PartBox]]:
    costs = []
    for i, part in enumerate(parts):
        for j, box in enumerate(boxes):
            if (away := near.away(part, box, travel)) <= 1:
                on_link = box.link >= 0 and box.link == part.link
                costs.append((away - LINK_BONUS * on_link + box.merged, i, j))
    pairs: list[tuple[Part, PartBox]] = []
    taken_parts: set[int] = set()
    taken_boxes: set[int] = set()
    for _, i, j in sorted(costs):
        if i not in taken_parts and j not in taken_boxes:
            taken_parts.add(i)
            taken_boxes.add(j)
            pairs.append((parts[i], boxes[j]))
    return pairs


def _correction(
    pairs: Sequence[tuple[Part, PartBox]], belt: Belt, travel: float, near: Nearness
) -> tuple[float, ToldBy]:
    """What the parts say the belt went beyond `travel`, and which parts: cut ones seem slower than they are."""
    whole = [(part, box) for part, box in pairs if box.clear and part.whole]
    told_by: ToldBy = "whole" if whole else "cut" if pairs and belt.cruise is None else "nobody"
    if told_by == "nobody":
        return 0.0, told_by
    fresh = [(part, box) for part, box in whole if part.travel == belt.travel]
    off = [near.off(part, box, belt.travel + travel) for part, box in fresh or whole or pairs]
    return statistics.median(off), told_by


def _strangers(boxes: Sequence[PartBox], known: Sequence[PartBox], near: Nearness) -> list[PartBox]:
    """Boxes that are parts of their own: not a second box of a part that is there already."""
    places = [box.box for box in known]
    strangers: list[PartBox] = []
    rest = [box for box in boxes if all(box is not other for other in known)]
    for box in sorted(rest, key=lambda box: (box.merged, -box.score)):
        if box.track_id >= 0 and not _is_second(box.box, places, near):
            strangers.append(box)
            places.append(box.box)
    return strangers


def _is_second(box: Box, places: Sequence[Box], near: Nearness) -> bool:
    area = (box[2] - box[0]) * (box[3] - box[1])
    covered = sum(_shared(box, other) for other in places)
    return covered >= COVERED * area or any(near.same_place(box, other) for other in places)


def _shared(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0
