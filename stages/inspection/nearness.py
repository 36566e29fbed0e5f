"""How far a box is from where the belt must have brought a part."""

from __future__ import annotations

from dataclasses import dataclass

from stages.inspection.boxes import PartBox
from stages.inspection.part import Part
from stages.inspection.trigger import WHOLE, Box, Extent, Way, center, is_within

DRIFT = 0.15  # error of the odometer, as a share of the travel since a part was seen
MAX_DRIFT = 0.25  # and at most so many part lengths
LONG_PART = 1.5  # most a part's own box may widen its reach, in usual lengths


@dataclass(frozen=True, slots=True)
class Nearness:
    """Distances along one belt. `dedupe` is how far off a box may be, in part lengths; `size` that of a usual part.

    `view` is what the model sees of the picture.
    """

    way: Way
    dedupe: float
    size: Extent | None
    view: Box = WHOLE

    def away(self, part: Part, box: PartBox, travel: float) -> float:
        """How far off the box is when the belt's odometer stands at `travel`; 1 is as far as may be."""
        length = self.length(part, box)
        breadth = max(self.way.extent(part.box).across, self.way.extent(box.box).across)
        drift = min(DRIFT * abs(travel - part.travel), MAX_DRIFT * length)
        (x, y), (to_x, to_y) = center(part.box), center(box.box)
        aside = abs(self.way.across((to_x - x, to_y - y)))
        return max(abs(self.off(part, box, travel)) / (self.dedupe * length + drift), aside / (self.dedupe * breadth))

    def off(self, part: Part, box: PartBox, travel: float) -> float:
        """How much farther down the belt the box is than the part should be."""
        return self.moved(part, box) - (travel - part.travel)

    def moved(self, part: Part, box: PartBox) -> float:
        """How far down the belt the box is from where the part was last seen."""
        return self.way.along(center(box.box)) - self.way.along(center(part.box))

    def length(self, part: Part, box: PartBox) -> float:
        """Length of a part, by what is usual and by these two boxes of it, which may be cut."""
        own = max(self.way.extent(part.box).along, self.way.extent(box.box).along)
        return own if self.size is None else max(self.size.along, min(own, self.size.along * LONG_PART))

    def inside(self, part: Part, travel: float) -> bool:
        """True when the part must now be wholly in view."""
        return is_within(self.way.carried(part.box, travel - part.travel), self.view)

    def was_inside(self, box: PartBox, travel: float) -> bool:
        """True when what the box shows must have been wholly in view before the belt went that far."""
        return is_within(self.way.carried(box.box, -travel), self.view)

    def same_place(self, box: Box, other: Box) -> bool:
        """True when two boxes of one frame are too near each other to be two parts."""
        away = center(box)[0] - center(other)[0], center(box)[1] - center(other)[1]
        length, breadth = self.way.extent(other)
        length = max(length, self.size.along if self.size else 0.0)
        return abs(self.way.along(away)) < self.dedupe * length and abs(self.way.across(away)) < self.dedupe * breadth
