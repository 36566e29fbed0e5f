"""One part on its way: where it was seen, and what was seen on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.inspection.belt import CLEAR_FRAMES
from stages.inspection.boxes import GRID, Mark, OwnedMarks, PartBox
from stages.inspection.trigger import Box, Extent, Way, center

if TYPE_CHECKING:
    from stages.inspection.rules import Rules

HEIGHT_STEPS = 200  # heights are kept in steps of half a hundredth of the part
HEIGHT_FLOOR = -0.1  # what step 0 stands for
MAX_HEIGHTS = 64  # votes on a height that are kept, the latest


class Sighting(NamedTuple):
    """A mark on a part in one frame."""

    score: float
    box: Box
    part: Box | None  # the part in that frame; None where an older checkpoint did not tell

    def checkpoint(self) -> list[Any]:
        """Plain data."""
        return [self.score, *_to_grid(self.box), *([] if self.part is None else _to_grid(self.part))]

    @classmethod
    def restored(cls, data: Sequence[Any]) -> Sighting:
        """Inverse of `checkpoint`."""
        score, *boxes = data
        return cls(score, _from_grid(boxes[:4]), _from_grid(boxes[4:]) if boxes[4:] else None)


@dataclass(slots=True)
class Votes:
    """What usable frames said, one count per rule (features first, then defects)."""

    seen: list[int]  # frames the rule's mark was on this part
    shared: list[int]  # frames such a mark fitted a neighbour as well
    usable: int = 0
    merged: int = 0  # frames in which the part ran together with another
    heights: dict[int, bytearray] = field(default_factory=dict)  # rule -> heights of its mark, in steps
    best: dict[int, Sighting] = field(default_factory=dict)  # defect rule -> its best sighting

    @classmethod
    def none(cls, rules: int) -> Votes:
        """Nothing seen yet."""
        return cls([0] * rules, [0] * rules)

    def add(self, marks: OwnedMarks, part: Box, features: int, banded: Collection[int]) -> None:
        """A usable frame's say; `features` is how many of the rules are features, `banded` those with a height."""
        self.usable += 1
        own = _best_by_rule(marks.own)
        for rule, mark in own.items():
            self.seen[rule] += 1
            if rule >= features or rule in banded:
                self._keep_best(rule, mark, part)
        for rule in _best_by_rule(marks.shared):
            if rule not in own:
                self.shared[rule] += 1
        for rule in banded:
            if rule in own:
                self._add_height(rule, own[rule].box, part)

    def heights_of(self, rule: int) -> list[float]:
        """Heights of a mark's middle above the part's lower edge, fractions of the part."""
        return [step / HEIGHT_STEPS + HEIGHT_FLOOR for step in self.heights.get(rule, b"")]

    def checkpoint(self) -> list[Any]:
        """Plain data."""
        heights = [(rule, bytes(steps)) for rule, steps in self.heights.items()]
        best = [(rule, *sighting.checkpoint()) for rule, sighting in self.best.items()]
        return [self.usable, self.merged, self.seen, self.shared, heights, best]

    @classmethod
    def restored(cls, data: Sequence[Any]) -> Votes:
        """Inverse of `checkpoint`."""
        usable, merged, seen, shared, heights, best = data
        votes = cls(list(seen), list(shared), usable, merged)
        votes.heights = {rule: bytearray(steps) for rule, steps in heights}
        votes.best = {rule: Sighting.restored(sighting) for rule, *sighting in best}
        return votes

    def _keep_best(self, rule: int, mark: Mark, part: Box) -> None:
        if rule not in self.best or mark.score > self.best[rule].score:
            self.best[rule] = Sighting(mark.score, mark.box, part)

    def _add_height(self, rule: int, mark: Box, part: Box) -> None:
        height = (part[3] - (mark[1] + mark[3]) / 2) / (part[3] - part[1])
        steps = self.heights.setdefault(rule, bytearray())
        steps.append(min(255, max(0, round((height - HEIGHT_FLOOR) * HEIGHT_STEPS))))
        del steps[:-MAX_HEIGHTS]


@dataclass(slots=True)
class Part:
    """A part the belt carries, from its first sighting until it must have left the picture."""

    run: str
    track_id: int  # of its first sighting: its identity
    link: int  # the track it hangs on now, -1 for none
    box: Box  # where it was last seen
    whole: bool  # and whether that was all of it, and only it
    seen_at: float
    travel: float  # the belt's odometer then
    start: float  # where along the belt it was first seen
    votes: Votes
    rules: Rules  # that it was first seen under, and is judged by
    sightings: int = 1
    missed: int = 0  # frames since it was last seen
    gap_s: float = 0.0  # longest time unseen
    troubles: list[str] = field(default_factory=list)  # why it cannot be judged, whatever its votes say
    crossed_at: float | None = None
    crossed_box: Box | None = None
    done: bool = False  # judged, or not this run's to judge
    clear: int = 0  # boxes of the part whole and alone
    length: float = 0.0  # their lengths in sum
    breadth: float = 0.0

    def see(self, seen: PartBox, at: float, travel: float, way: Way) -> None:
        """The part was seen again."""
        self.gap_s = max(self.gap_s, at - self.seen_at)
        self.box, self.whole, self.seen_at, self.travel = seen.box, seen.clear, at, travel
        self.link = seen.link if seen.link >= 0 else self.link
        self.sightings, self.missed = self.sightings + 1, 0
        self.measure(seen, way)

    def measure(self, seen: PartBox, way: Way) -> None:
        """Learn the part's size where its box tells it."""
        if seen.clear:
            length, breadth = way.extent(seen.box)
            self.clear, self.length, self.breadth = self.clear + 1, self.length + length, self.breadth + breadth

    def trouble(self, reason: str) -> None:
        """Note why this part cannot be judged, once."""
        if reason not in self.troubles:
            self.troubles.append(reason)

    @property
    def size(self) -> Extent | None:
        """The part's own mean size; None until it was seen clearly a few times."""
        return Extent(self.length / self.clear, self.breadth / self.clear) if self.clear >= CLEAR_FRAMES else None

    def moved_on(self, way: Way) -> float:
        """How far down the belt it was last seen from its start."""
        return way.along(center(self.box)) - self.start

    def shift(self, by_s: float) -> None:
        """Move remembered times: the camera's clock jumped."""
        self.seen_at += by_s
        if self.crossed_at is not None:
            self.crossed_at += by_s

    def checkpoint(self, run_index: int) -> list[Any]:
        """Plain data; a part that is done needs only its place."""
        place = [run_index, self.track_id, self.link, _to_grid(self.box), self.whole, self.seen_at, self.travel]
        if self.done:
            return place
        crossed = None if self.crossed_box is None else [self.crossed_at, *self.crossed_box]
        passage = [self.start, self.sightings, self.missed, self.gap_s, self.troubles, crossed]
        return [*place, *passage, self.clear, self.length, self.breadth, self.votes.checkpoint()]

    @classmethod
    def restored(cls, data: Sequence[Any], runs: Sequence[str], rules: Rules) -> Part:
        """Inverse of `checkpoint`."""
        run, track_id, link, box, whole, seen_at, travel, *passage = data
        part = cls(runs[run], track_id, link, _from_grid(box), whole, seen_at, travel, 0.0, rules.votes(), rules)
        if not passage:
            part.done = True
            return part
        part.start, part.sightings, part.missed, part.gap_s, troubles, crossed, *size, votes = passage
        part.clear, part.length, part.breadth = size
        part.troubles, part.votes = list(troubles), Votes.restored(votes)
        if crossed is not None:
            part.crossed_at, *crossed_box = crossed
            part.crossed_box = (crossed_box[0], crossed_box[1], crossed_box[2], crossed_box[3])
        return part


def _best_by_rule(marks: Iterable[Mark]) -> dict[int, Mark]:
    best: dict[int, Mark] = {}
    for mark in marks:
        for rule in mark.rules:
            if rule not in best or mark.score > best[rule].score:
                best[rule] = mark
    return best


def _to_grid(box: Box) -> list[int]:
    return [round(value * GRID) for value in box]


def _from_grid(values: Sequence[int]) -> Box:
    a, b, c, d = values
    return a / GRID, b / GRID, c / GRID, d / GRID
