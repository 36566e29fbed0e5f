"""What one frame shows of parts and of the marks on them, in fractions of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stages.geometry import containment
from stages.inspection.settings import InspectionSettings
from stages.inspection.trigger import WHOLE, Box, Extent, Way, center, is_within
from stages.values import Tracks

GRID = 32768  # boxes are kept on this grid, so that they are small in a checkpoint and come back exactly
MAX_BOXES = 48  # parts looked at in one frame, the surest; more is a model gone wild
CLEARLY_MORE = 0.3  # how much more of a mark one part must hold than the next to own it
BEYOND = 0.5  # part lengths between two like features of one box that make it two parts


@dataclass(frozen=True, slots=True)
class PartBox:
    """Something that looks like a part. `link` is the track it hangs on, -1 for none."""

    box: Box
    link: int
    track_id: int
    score: float
    cut: bool  # by the edge of what the model sees
    merged: bool  # one of several parts the model saw as one

    @property
    def clear(self) -> bool:
        """True where the box is one whole part."""
        return not (self.cut or self.merged)


@dataclass(frozen=True, slots=True)
class Mark:
    """A feature or a defect, wherever it is. `rules` it speaks to, by index."""

    box: Box
    score: float
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OwnedMarks:
    """What one part shows in one frame: the marks that are its own, and those that fit a neighbour as well."""

    own: tuple[Mark, ...] = ()
    shared: tuple[Mark, ...] = ()


class Look:
    """Reads a frame's tracks: which are parts, which are marks, and whose."""

    def __init__(self, settings: InspectionSettings, class_names: Sequence[str], view: Box = WHOLE) -> None:
        """`view` is what the model sees of the picture: a part at its edge is cut as one at the picture's is."""
        margin = settings.edge_margin
        self._uncut = (view[0] + margin, view[1] + margin, view[2] - margin, view[3] - margin)
        self._settings = settings
        self._way = Way(settings.vector)
        self._part_class, self._rules_of_class = _classes(settings, class_names)

    def parts(self, tracks: Tracks, size_wh: tuple[int, int], typical: Extent | None) -> list[PartBox]:
        """The parts; a box longer than `typical` allows is cut into as many as would fit."""
        seen: list[PartBox] = []
        parts = np.flatnonzero(tracks.class_id == self._part_class)
        surest = np.sort(parts[np.argsort(-tracks.score[parts], kind="stable")[:MAX_BOXES]])
        for i in surest:
            box = _fractions(tracks.xyxy[i].tolist(), size_wh)
            if box[2] > box[0] and box[3] > box[1]:
                seen += self._split(box, int(tracks.track_id[i]), float(tracks.score[i]), typical)
        return seen

    def marks(self, tracks: Tracks, size_wh: tuple[int, int]) -> list[Mark]:
        """The features and defects some rule asks for."""
        return [
            Mark(_fractions(tracks.xyxy[i].tolist(), size_wh), float(tracks.score[i]), rules)
            for i, class_id in enumerate(tracks.class_id.tolist())
            if (rules := self._rules_of_class.get(class_id))
        ]

    def owners(self, boxes: Sequence[Box], marks: Sequence[Mark]) -> list[OwnedMarks]:
        """Whose each mark is, one answer per box: by its middle; if that fits several, by how much of it they hold."""
        own: list[list[Mark]] = [[] for _ in boxes]
        shared: list[list[Mark]] = [[] for _ in boxes]
        if boxes and marks:
            held = containment([mark.box for mark in marks], list(boxes)).tolist()
            for mark, shares in zip(marks, held, strict=True):
                fits = self._fitting(mark, boxes, shares)
                for i in fits:
                    (own if len(fits) == 1 else shared)[i].append(mark)
        return [OwnedMarks(tuple(a), tuple(b)) for a, b in zip(own, shared, strict=True)]

    def doubled(self, box: Box, marks: Sequence[Mark]) -> bool:
        """True when a part shows the same required feature twice, too far apart for one part."""
        required = range(len(self._settings.required))
        reach = BEYOND * self._way.extent(box).along
        for rule in required:
            places = [self._way.along(center(mark.box)) for mark in marks if rule in mark.rules]
            widths = [self._way.extent(mark.box).along for mark in marks if rule in mark.rules]
            if len(places) > 1 and max(places) - min(places) >= max(reach, max(widths)) * 0.9:
                return True
        return False

    def _split(self, box: Box, track_id: int, score: float, typical: Extent | None) -> list[PartBox]:
        cut = not is_within(box, self._uncut)
        extent = self._way.extent(box)
        limit = self._settings.wide_factor
        if typical is None or (extent.along <= limit * typical.along and extent.across <= limit * typical.across):
            return [PartBox(box, track_id, track_id, score, cut, merged=False)]
        count = max(2, round(extent.along / typical.along)) if extent.along > limit * typical.along else 1
        return [PartBox(piece, -1, track_id, score, cut, merged=True) for piece in self._pieces(box, count)]

    def _pieces(self, box: Box, count: int) -> list[Box]:
        flat = abs(self._way.step[0]) >= abs(self._way.step[1])
        width, height = (box[2] - box[0]) / count, (box[3] - box[1]) / count
        return [
            _on_grid(
                (box[0] + i * width, box[1], box[0] + (i + 1) * width, box[3])
                if flat
                else (box[0], box[1] + i * height, box[2], box[1] + (i + 1) * height)
            )
            for i in range(count)
        ]

    def _fitting(self, mark: Mark, boxes: Sequence[Box], shares: Sequence[float]) -> list[int]:
        x, y = center(mark.box)
        margin = self._settings.feature_margin
        fits = []
        for i, (x1, y1, x2, y2) in enumerate(boxes):
            dx, dy = (x2 - x1) * margin, (y2 - y1) * margin
            if x1 - dx <= x <= x2 + dx and y1 - dy <= y <= y2 + dy:
                fits.append(i)
        if len(fits) < 2:
            return fits
        best = max(shares[i] for i in fits)
        return [i for i in fits if shares[i] > best - CLEARLY_MORE]


def _classes(settings: InspectionSettings, class_names: Sequence[str]) -> tuple[int, Mapping[int, tuple[int, ...]]]:
    known = {name: i for i, name in enumerate(class_names)}

    def index(label: str, path: str) -> int:
        if label not in known:
            raise ValueError(f"{path}: the model knows no class '{label}'; it knows {', '.join(class_names) or 'none'}")
        return known[label]

    rules: dict[int, tuple[int, ...]] = {}
    for i, feature in enumerate(settings.required):
        for label in feature.labels:
            rules[index(label, f"required[{i}]")] = (i,)
    for j, defect in enumerate(settings.defects):
        class_id = index(defect.label, f"defects[{j}].label")
        rules[class_id] = (*rules.get(class_id, ()), len(settings.required) + j)
    return index(settings.part_label, "part_label"), rules


def _fractions(xyxy: Sequence[float], size_wh: tuple[int, int]) -> Box:
    width, height = size_wh
    return _on_grid((xyxy[0] / width, xyxy[1] / height, xyxy[2] / width, xyxy[3] / height))


def _on_grid(box: Box) -> Box:
    a, b, c, d = (round(value * GRID) / GRID for value in box)
    return a, b, c, d
