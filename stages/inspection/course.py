"""A part's course through the picture: towards the trigger, over it, and out of view."""

from __future__ import annotations

from stages.inspection.part import Part
from stages.inspection.settings import InspectionSettings
from stages.inspection.trigger import Box, Trigger, Way, center
from stages.inspection.verdict import FIRST_SEEN_LATE

MOVED = 0.25  # part lengths something must move down the belt to be a part
CREPT = 0.1  # and to be one that vanished with the trigger just behind it: more than a box trembles


class Course:
    """Tells of a part where on its course it is, and what follows from that. Changes no part.

    `view` is what the model sees of the picture. `travel` is where the belt's odometer stands.
    """

    def __init__(self, settings: InspectionSettings, view: Box) -> None:
        self.way = Way(settings.vector)
        self.trigger = Trigger(settings)
        self._view = view

    def place(self, part: Part, travel: float) -> float:
        """Where the part must be, by the belt's odometer: negative before the trigger."""
        return self.trigger.passed(center(part.box)) + travel - part.travel

    def has_left(self, part: Part, travel: float) -> bool:
        """True when the belt must have carried the whole part out of view."""
        x1, y1, x2, y2 = self.way.carried(part.box, travel - part.travel)
        left, top, right, bottom = self._view
        return x2 < left or y2 < top or x1 > right or y1 > bottom

    def is_real(self, part: Part) -> bool:
        """True for what was seen often enough, and moved with the belt: no flicker, no fixture."""
        return self._has_moved(part, MOVED)

    def is_missed(self, part: Part) -> bool:
        """True for a real part that was last seen on its way to the trigger, or just past it and not sure of yet."""
        if part.done:
            return False
        if part.crossed_at is not None:
            return FIRST_SEEN_LATE not in part.troubles and self._has_moved(part, CREPT)
        return self._comes(part) and self._has_moved(part, MOVED)

    def waits(self, part: Part) -> bool:
        """True for what stands before the trigger, on a belt that stands: it cannot show that it is a part."""
        return not part.done and _is_seen_enough(part) and self._comes(part)

    def is_past(self, part: Part) -> bool:
        """True where the part was last seen behind the trigger, on a lane that crosses it."""
        middle = center(part.box)
        return self.trigger.passed(middle) >= 0 and self.trigger.spans(middle)

    def _comes(self, part: Part) -> bool:
        middle = center(part.box)
        return self.trigger.passed(middle) < 0 and self.trigger.spans(middle)

    def _has_moved(self, part: Part, lengths: float) -> bool:
        return _is_seen_enough(part) and part.moved_on(self.way) >= lengths * self.way.extent(part.box).along


def _is_seen_enough(part: Part) -> bool:
    return part.sightings >= part.rules.settings.min_sightings
