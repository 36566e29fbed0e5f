"""A small bottle line for the tests: known parts on a belt, seen through a model and a tracker with known faults."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from stages.inspection.inspector import Inspector
from stages.inspection.settings import Band, DefectRule, FeatureRule, InspectionSettings
from stages.values import CameraId, HealthState, Inspection, Position, Tracks, Uninspected, Verdict

WIDTH, HEIGHT = 640, 360
PART_WIDTH, PART_HEIGHT = 58.0, 172.0
TRIGGER_X = 0.62
SPEED = 125.0  # pixels a second
CROSSES_S = (TRIGGER_X * WIDTH + 40) / SPEED  # when a bottle that starts at x = -40 is on the trigger
CLASSES = ("bottle", "cap", "label", "crooked_label", "level", "dent")
RUN = "run1"
CAMERA = CameraId("cam")

SETTINGS = InspectionSettings(
    part_label="bottle",
    trigger=((TRIGGER_X, 0.0), (TRIGGER_X, 1.0)),
    required=(
        FeatureRule(label="cap"),
        FeatureRule(label="label", any_of=("crooked_label",)),
        FeatureRule(label="level", center_y=Band(min=0.71, max=0.86, below="low_fill", above="over_fill")),
    ),
    defects=(DefectRule(label="crooked_label"), DefectRule(label="dent")),
)


@dataclass(frozen=True)
class Bottle:
    """A part: where its middle is at t = 0, and what is wrong with it."""

    x: float
    defects: frozenset[str] = frozenset()
    base_y: float = 300.0

    def marks(self) -> list[tuple[str, float, float, float, float]]:
        """Label, middle x and y from the axis and the base (fractions of the part), width and height in pixels."""
        level = 0.62 if "low_fill" in self.defects else 0.78
        marks = [("level", 0.0, level, PART_WIDTH, 18.0)]
        if "missing_cap" not in self.defects:
            marks.append(("cap", 0.0, 0.93, 28.0, 23.0))
        if "missing_label" not in self.defects:
            marks.append(("crooked_label" if "crooked_label" in self.defects else "label", 0.0, 0.35, 56.0, 46.0))
        if "dent" in self.defects:
            marks.append(("dent", 0.15, 0.6, 28.0, 24.0))
        return marks


@dataclass(frozen=True)
class Faults:
    """What the model and the tracker get wrong, as chances per frame and thing; pixels for the tremble."""

    miss: float = 0.0
    tremble_px: float = 0.0
    spurious: float = 0.0  # a mark that is not there, anywhere on a part
    ghost_part: float = 0.0  # a box of a part that is not there, for one frame
    second_box: float = 0.0  # a second box on the same part, with an id of its own
    new_id: float = 0.0
    swap: float = 0.0  # two neighbours exchange their ids
    drop: float = 0.0  # whole frames


@dataclass
class Shown:
    """One processed frame."""

    at: float
    tracks: Tracks
    health: HealthState = HealthState.OK
    size_wh: tuple[int, int] = (WIDTH, HEIGHT)
    received_at: float | None = None  # by our clock
    repeated: bool = False
    lost: int = 0  # frames dropped before it


@dataclass
class Line:
    """The belt: parts, how far it has moved at a time, and what the camera makes of it."""

    bottles: Sequence[Bottle]
    travel: Callable[[float], float] = lambda t: SPEED * t
    fps: float = 10.0
    faults: Faults = Faults()
    seed: int = 0
    merged: Callable[[float], bool] = lambda t: False  # neighbours that touch are one box then
    unseen: Callable[[float, int], bool] = lambda t, i: False  # bottle i is not detected then
    width: int = WIDTH
    _ids: dict[int, int] = field(default_factory=dict)
    _next: int = 1

    def frames(self, until: float, since: float = 0.0) -> Iterator[Shown]:
        """Frames at a steady rate, but for those that are dropped."""
        rng = random.Random(self.seed)
        self._ids, self._next = {}, 1
        for n in range(int((until - since) * self.fps) + 1):
            t = since + n / self.fps
            shown = self._shown(t, rng)
            if rng.random() >= self.faults.drop:
                yield shown

    def crossed(self, since: float, until: float) -> list[int]:
        """The bottles whose middle crosses the trigger in this time, in order."""
        line = TRIGGER_X * WIDTH
        crossed = [
            (-b.x, i) for i, b in enumerate(self.bottles) if b.x + self.travel(since) < line <= b.x + self.travel(until)
        ]
        return [i for _, i in sorted(crossed)]

    def _shown(self, t: float, rng: random.Random) -> Shown:
        f = self.faults
        rows: list[tuple[float, float, float, float, float, int, int]] = []
        visible: list[tuple[int, list[float]]] = []
        for i, bottle in enumerate(self.bottles):
            x = bottle.x + self.travel(t)
            box = _jolt([x - PART_WIDTH / 2, bottle.base_y - PART_HEIGHT, x + PART_WIDTH / 2, bottle.base_y], f, rng)
            if box[2] <= 1 or box[0] >= WIDTH - 1:
                continue
            for label, dx, up, w, h in bottle.marks():
                cx, cy = x + dx * PART_WIDTH, bottle.base_y - up * PART_HEIGHT
                mark = _jolt([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], f, rng)
                if rng.random() >= f.miss and 0 < (mark[0] + mark[2]) / 2 < WIDTH:
                    rows.append((*_clip(mark), 0.8, CLASSES.index(label), -1))
            if rng.random() < f.spurious:
                label = rng.choice(["cap", "label", "crooked_label", "dent"])
                cx, cy = x + rng.uniform(-20, 20), bottle.base_y - rng.uniform(0.1, 0.9) * PART_HEIGHT
                rows.append((*_clip([cx - 13, cy - 12, cx + 13, cy + 12]), 0.4, CLASSES.index(label), -1))
            if rng.random() >= f.miss and not self.unseen(t, i):
                visible.append((i, _clip(box)))
        self._rename(visible, rng)
        rows += self._part_rows(t, visible, rng)
        if rng.random() < f.ghost_part:
            x = rng.uniform(60, 580)
            rows.append((x - 29, 130.0, x + 29, 300.0, 0.4, 0, self._new_id()))
        return Shown(1000.0 + t, _tracks(rows, self.width / WIDTH), size_wh=(self.width, HEIGHT * self.width // WIDTH))

    def _rename(self, visible: list[tuple[int, list[float]]], rng: random.Random) -> None:
        for i, _ in visible:
            if i not in self._ids or rng.random() < self.faults.new_id:
                self._ids[i] = self._new_id()
        for (i, _), (j, _) in pairwise(visible):
            if rng.random() < self.faults.swap:
                self._ids[i], self._ids[j] = self._ids[j], self._ids[i]

    def _part_rows(
        self, t: float, visible: list[tuple[int, list[float]]], rng: random.Random
    ) -> list[tuple[float, float, float, float, float, int, int]]:
        rows = []
        skip = False
        ordered = sorted(visible, key=lambda item: item[1][0])
        for n, (i, box) in enumerate(ordered):
            if skip:
                skip = False
                continue
            after = ordered[n + 1][1] if n + 1 < len(ordered) else None
            if after and self.merged(t) and after[0] - box[2] < 4:
                box, skip = [box[0], min(box[1], after[1]), after[2], max(box[3], after[3])], True
            rows.append((*box, 0.9, 0, self._ids[i]))
            if rng.random() < self.faults.second_box:
                rows.append((box[0] + 8, box[1] + 5, box[2] + 8, box[3], 0.5, 0, self._new_id()))
        return rows

    def _new_id(self) -> int:
        self._next += 1
        return self._next - 1


@dataclass
class Outcome:
    """All that came out, and the frames' end."""

    inspections: list[Inspection]
    uninspected: list[Uninspected]

    @property
    def verdicts(self) -> list[Verdict]:
        """In the order they were given."""
        return [inspection.verdict for inspection in self.inspections]


def bottles(*defects: str | None, spacing: float = 140.0, start: float = -40.0) -> list[Bottle]:
    """One bottle after another; None or the defect each has."""
    return [Bottle(start - i * spacing, frozenset([d] if d else [])) for i, d in enumerate(defects)]


def crawl(t: float) -> float:
    """Ever slower and faster, never back."""
    return SPEED * t + 60 * math.sin(2 * t)


def inspector(settings: InspectionSettings = SETTINGS, run: str = RUN) -> Inspector:
    """A fresh one."""
    return Inspector(settings, CAMERA, "station", run, CLASSES)


def run(shown: Iterable[Shown], by: Inspector | None = None) -> Outcome:
    """All frames through one inspector."""
    by = by or inspector()
    outcome = Outcome([], [])
    for n, frame in enumerate(shown):
        judged = by.update(
            frame.tracks,
            frame.size_wh,
            Position("live", 1, n),
            frame.at,
            frame.health,
            now=frame.at + 0.1,
            received_at=frame.received_at,
            repeated=frame.repeated,
            lost=frame.lost,
        )
        outcome.inspections += judged.inspections
        outcome.uninspected += judged.uninspected
    return outcome


def blinded(frames: Iterable[Shown], since: float, until: float, health: HealthState) -> Iterator[Shown]:
    """The same frames, but the camera sees nothing for a while (times on the line's clock)."""
    for frame in frames:
        if since <= frame.at - 1000.0 < until:
            yield replace(frame, tracks=Tracks.empty(), health=health)
        else:
            yield frame


def _jolt(box: list[float], faults: Faults, rng: random.Random) -> list[float]:
    return [value + rng.gauss(0, faults.tremble_px) for value in box] if faults.tremble_px else box


def _clip(box: list[float]) -> list[float]:
    return [max(0.0, box[0]), max(0.0, box[1]), min(float(WIDTH), box[2]), min(float(HEIGHT), box[3])]


def _tracks(rows: Sequence[Sequence[float]], scale: float) -> Tracks:
    table = np.array(rows, np.float64).reshape(-1, 7)
    return Tracks(
        (table[:, :4] * scale).astype(np.float32),
        table[:, 4].astype(np.float32),
        table[:, 5].astype(np.int32),
        table[:, 6].astype(np.int32),
    )
