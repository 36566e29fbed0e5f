"""Who writes one camera's verdicts down: each under a name of its own, in pixels of the picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from stages.inspection.part import Part, Sighting
from stages.inspection.parts import Crossing
from stages.inspection.settings import RESERVED
from stages.inspection.trigger import Box
from stages.inspection.verdict import Decision, Passage, decide
from stages.values import CameraId, Defect, Inspection, Position

TOLD_IDS = 48  # track ids remembered, so that one used again gives another inspection id


class Clerk:
    """Decides on parts that crossed the trigger, and makes an Inspection of each. Part and frame are left as they are.

    No two inspections of a camera's run have one id: a track id that was used for several parts is numbered.
    """

    def __init__(self, camera_id: CameraId, station: str) -> None:
        self.size_wh = (1, 1)  # of the last picture
        self._position = Position("", 0, 0)  # and where it is in its source
        self._camera_id = camera_id
        self._station = station
        self._told: deque[int] = deque(maxlen=TOLD_IDS)

    def turn_to(self, size_wh: tuple[int, int], position: Position) -> None:
        """What is written down from now on is of this frame."""
        self.size_wh, self._position = size_wh, position

    def write(self, crossings: Iterable[Crossing], frame_at: float | None, now: float) -> tuple[Inspection, ...]:
        """One inspection for each. `frame_at`: when the last frame was taken; parts seen in it are shown there."""
        return tuple(self._inspection(crossing, frame_at, now) for crossing in crossings)

    def take_over(self, before: Clerk) -> None:
        """Go on where another stopped, which is done."""
        self.size_wh, self._position, self._told = before.size_wh, before._position, before._told

    def checkpoint(self) -> dict[str, Any]:
        """Plain data, to be one with others' in one mapping."""
        return {"told": list(self._told), "frame": [*self.size_wh, self._position.encode()]}

    def restore(self, told: Sequence[int], frame: Sequence[Any]) -> None:
        """Take up where a checkpoint was made; `told` is empty where it is of another run, which has other names."""
        self._told.extend(told)
        width, height, position = frame
        self.size_wh, self._position = (width, height), Position.decode(position)

    def _inspection(self, crossing: Crossing, frame_at: float | None, now: float) -> Inspection:
        part, crossed_at, box = crossing
        votes, rules = part.votes, part.rules.settings
        decision = decide(rules, Passage(votes, part.sightings, part.gap_s, tuple(part.troubles)))
        return Inspection(
            inspection_id=self._name(part),
            camera_id=self._camera_id,
            station=self._station,
            track_id=part.track_id,
            verdict=decision.verdict,
            reasons=decision.reasons,
            defects=self._defects(decision, part, box),
            votes={RESERVED: votes.usable, **dict(zip(rules.rule_names, votes.seen, strict=True))},
            captured_at=crossed_at,
            decided_at=now,
            xyxy=self._pixels(box),
            position=self._position,
            seen_xyxy=self._pixels(part.box) if part.seen_at == frame_at else None,
            recipe=part.rules.name,
        )

    def _name(self, part: Part) -> str:
        """Camera, run and track; where the tracker used an id for several parts, their number as well."""
        before = self._told.count(part.track_id)
        self._told.append(part.track_id)
        return f"{self._camera_id}/{part.run}/{part.track_id}" + (f".{before}" if before else "")

    def _defects(self, decision: Decision, part: Part, whole: Box) -> tuple[Defect, ...]:
        """Each certain defect where it was seen best; one of something that is not there, on the whole part."""
        defects, rules = [], part.rules
        for found in decision.found:
            missing = found.rule < len(rules.settings.required) and found.rule not in rules.banded
            best = Sighting(found.share, whole, whole)
            if not missing:
                best = part.votes.best.get(found.rule, best)
            on_part = None if best.part is None else self._pixels(best.part)
            defects.append(Defect(found.name, round(best.score, 4), self._pixels(best.box), on_part))
        return tuple(defects)

    def _pixels(self, box: Box) -> Box:
        width, height = self.size_wh
        return box[0] * width, box[1] * height, box[2] * width, box[3] * height
