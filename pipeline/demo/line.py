"""The script of the demo's bottle line: what passes when, what is wrong with it, and where it is seen."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.demo.bottle import PRODUCTS, Bottle, Defect, make_bottle

__all__ = ["TRIGGER_X", "BottleLine", "Defect", "PartTruth", "Placed", "TruthBox"]

TRIGGER_X = 0.62  # fraction of the picture's width at which a part is judged
REFERENCE = (640, 360)  # pixels the bottles' measures are given for
DECK = 16  # parts dealt together: one of each defect and two touching pairs
PITCH = 138.0  # mean distance of parts, reference pixels
CACHED_DECKS = 8


@dataclass(frozen=True)
class PartTruth:
    """What is true of one part. Times in seconds since the line started."""

    index: int
    product: str
    defects: frozenset[Defect]
    entered_at_s: float
    trigger_at_s: float
    touching: bool

    @property
    def verdict(self) -> str:
        """`pass` without a defect, else `reject`."""
        return "reject" if self.defects else "pass"


@dataclass(frozen=True)
class TruthBox:
    """Where one thing of one part is seen."""

    part: int
    label: str
    xyxy: tuple[float, float, float, float]  # source pixels, clipped to the picture
    visible: float = 1.0  # share of the whole box that lies inside the picture


@dataclass(frozen=True)
class Placed:
    """A bottle and its place on the belt, in reference pixels from the belt's own start."""

    index: int
    bottle: Bottle
    place: float
    touching: bool


class BottleLine:
    """A line that never ends: everything is a function of the seed and the time, so nothing has to be remembered."""

    def __init__(self, seed: int, width: int = REFERENCE[0], height: int = REFERENCE[1]) -> None:
        if width * REFERENCE[1] != height * REFERENCE[0]:
            raise ValueError(f"the line is seen in 16:9, not {width}x{height}")
        self.seed = seed
        self.width = width
        self.height = height
        self.scale = width / REFERENCE[0]
        rng = np.random.default_rng((seed, 0))
        self.base_y = float(rng.uniform(294, 304))  # where bottles stand, reference pixels
        self._speed = float(rng.uniform(118, 132))
        self._swings = [(amplitude, 2 * math.pi / rng.uniform(*period), rng.uniform(0, 2 * math.pi))
                        for amplitude, period in ((10.0, (30, 50)), (6.0, (9, 15)))]  # fmt: skip
        self._start = TRIGGER_X * REFERENCE[0] + 40  # the belt is empty at t = 0
        self._deck = lru_cache(maxsize=CACHED_DECKS)(self._deal)

    def speed_at(self, t_s: float) -> float:
        """Speed of the belt, reference pixels a second: about 100 to 150."""
        return self._speed + sum(a * math.sin(w * t_s + phase) for a, w, phase in self._swings)

    def travel_at(self, t_s: float) -> float:
        """How far the belt has moved since the start, reference pixels."""
        swung = sum(a / w * (math.cos(phase) - math.cos(w * t_s + phase)) for a, w, phase in self._swings)
        return self._speed * t_s + swung

    def parts(self, from_s: float, to_s: float) -> list[PartTruth]:
        """The parts whose middle crosses the trigger in [from_s, to_s), in order."""
        return [self._truth(placed) for placed in self._between(self.travel_at(from_s), self.travel_at(to_s))]

    def placed_at(self, t_s: float) -> list[tuple[float, Placed]]:
        """What is in the picture: (x of the axis in reference pixels, the part), the foremost first."""
        travel, trigger = self.travel_at(t_s), TRIGGER_X * REFERENCE[0]
        margin = 70.0  # half a bottle, and its shadow
        near = self._between(travel - (REFERENCE[0] - trigger) - margin, travel + trigger + margin)
        return [(trigger + travel - placed.place, placed) for placed in near]

    def boxes_at(self, t_s: float) -> list[TruthBox]:
        """Every box seen at that time, clipped to the picture; what is less than a pixel wide is left out."""
        boxes = []
        for x, placed in self.placed_at(t_s):
            for label, (left, lower, right, upper) in placed.bottle.boxes.items():
                x1, x2 = max(0.0, (x + left) * self.scale), min(float(self.width), (x + right) * self.scale)
                y1, y2 = (self.base_y - upper) * self.scale, (self.base_y - lower) * self.scale
                if x2 - x1 >= 1:
                    visible = (x2 - x1) / (right - left) / self.scale
                    boxes.append(TruthBox(placed.index, label, (x1, y1, x2, y2), visible))
        return boxes

    def _truth(self, placed: Placed) -> PartTruth:
        bottle = placed.bottle
        entered = placed.place - TRIGGER_X * REFERENCE[0] - bottle.half_width
        return PartTruth(placed.index, bottle.product.name, bottle.defects, self._time_of(entered),
                         self._time_of(placed.place), placed.touching)  # fmt: skip

    def _time_of(self, travel: float) -> float:
        t_s = travel / self._speed
        for _ in range(50):  # Newton; the speed never comes near zero, so a handful of steps do
            step = (self.travel_at(t_s) - travel) / self.speed_at(t_s)
            t_s -= step
            if abs(step) < 1e-9:
                break
        return t_s

    def _between(self, low: float, high: float) -> Iterator[Placed]:
        length = DECK * PITCH
        for deck in range(max(0, int((low - self._start) // length)), int((high - self._start) // length) + 1):
            yield from (placed for placed in self._deck(deck) if low <= placed.place < high)

    def _deal(self, deck: int) -> tuple[Placed, ...]:
        """The bottles of one deck. Its length on the belt is fixed, so any deck is found without dealing earlier ones.

        Defects lie one in each run of three or four parts and touching pairs in the middle of each half, so that any
        thirty parts in a row hold at least six rejects of four kinds and three pairs.
        """
        rng = np.random.default_rng((self.seed, 1, deck))
        defects: list[set[Defect]] = [set() for _ in range(DECK)]
        for slot, kind in enumerate(rng.permutation(list(Defect))):
            defects[3 * slot + int(rng.integers(4 if slot == 4 else 3))] = _with_second(rng, Defect(kind))
        names = list(PRODUCTS)
        bottles = [make_bottle(rng, PRODUCTS[names[rng.integers(len(names))]], each) for each in defects]
        leaders = {half + int(rng.integers(2, 5)) for half in (0, DECK // 2)}  # each touches the part behind it
        gaps = rng.uniform(0.62, 1.38, DECK)
        pairs = {i: bottles[i].half_width + bottles[i + 1].half_width + rng.uniform(0.0, 2.0) for i in leaders}
        free = DECK * PITCH - sum(pairs.values())
        gaps[list(pairs)] = 0
        gaps *= free / gaps.sum()
        gaps[list(pairs)] = list(pairs.values())
        places = self._start + deck * DECK * PITCH + np.concatenate([[0.0], np.cumsum(gaps)[:-1]])
        return tuple(
            Placed(deck * DECK + i, bottle, float(places[i]), touching=i in leaders or i - 1 in leaders)
            for i, bottle in enumerate(bottles)
        )


def _with_second(rng: np.random.Generator, first: Defect) -> set[Defect]:
    """The defect, now and then with a second one that hides neither."""
    partners = {
        Defect.MISSING_CAP: (Defect.LOW_FILL, Defect.MISSING_LABEL),
        Defect.LOW_FILL: (Defect.MISSING_CAP, Defect.DENT),
        Defect.MISSING_LABEL: (Defect.DENT, Defect.MISSING_CAP),
        Defect.CROOKED_LABEL: (Defect.MISSING_CAP,),
        Defect.DENT: (Defect.MISSING_CAP, Defect.MISSING_LABEL),
    }[first]
    return {first, partners[rng.integers(len(partners))]} if rng.random() < 0.15 else {first}
