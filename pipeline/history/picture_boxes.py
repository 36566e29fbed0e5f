"""Where a part and its defects are in the part's picture.

Not where the message's own boxes are: the picture may be a crop, and was taken when the verdict fell; a defect's box is
of the frame that showed it best. The belt moved between the three, and the message tells the part's box in each.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.results.models import InspectionMessage

Box = tuple[float, float, float, float]  # x1 y1 x2 y2


@dataclass(frozen=True, slots=True)
class DefectInPicture:
    """A defect and its box in the stored picture's pixels; None where the message does not tell (before 1.2)."""

    label: str
    score: float
    box: Box | None


def part_in_picture(message: InspectionMessage) -> Box | None:
    """The part in its stored picture, in that picture's pixels; None without a picture, or before schema 1.2."""
    return None if message.snapshot is None else message.snapshot.part_box


def defects_in_picture(message: InspectionMessage) -> tuple[DefectInPicture, ...]:
    """All defects of the message, in its order. Boxes may reach over the picture's edge: see `clipped`."""
    part = part_in_picture(message)
    return tuple(
        DefectInPicture(found.label, found.score, moved(found.box, found.part_box, part)) for found in message.defects
    )


def moved(box: Box, before: Box | None, now: Box | None) -> Box | None:
    """A box on a thing that was at `before` and is at `now`; None where one of these is not known, or flat."""
    if before is None or now is None or before[2] <= before[0] or before[3] <= before[1]:
        return None
    across, down = (now[2] - now[0]) / (before[2] - before[0]), (now[3] - now[1]) / (before[3] - before[1])
    return (
        now[0] + (box[0] - before[0]) * across,
        now[1] + (box[1] - before[1]) * down,
        now[0] + (box[2] - before[0]) * across,
        now[1] + (box[3] - before[1]) * down,
    )


def clipped(box: Box, width: int, height: int) -> Box | None:
    """What of the box is in a picture of that size; None where less than a pixel is."""
    x1, y1 = max(0.0, box[0]), max(0.0, box[1])
    x2, y2 = min(float(width), box[2]), min(float(height), box[3])
    return (x1, y1, x2, y2) if x2 - x1 >= 1 and y2 - y1 >= 1 else None
