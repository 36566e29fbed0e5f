"""One bottle: its measures, its defects, and where each of its parts is seen."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]

ELEVATION = 0.24  # height over width of every circle seen from the camera, a little above the line
LEVEL_HEIGHT = 18.0  # the liquid's surface with its rim, reference pixels


class Defect(StrEnum):
    """What can be wrong with a part."""

    MISSING_CAP = "missing_cap"
    LOW_FILL = "low_fill"
    MISSING_LABEL = "missing_label"
    CROOKED_LABEL = "crooked_label"
    DENT = "dent"


@dataclass(frozen=True)
class Product:
    """The design all bottles of one product share. Lengths in reference pixels, heights as fractions, colours RGB."""

    name: str
    height: float
    half_width: float
    neck_half: float
    cap_half: float
    cap_height: float
    shoulder: tuple[float, float]
    waist: float
    liquid: tuple[int, int, int]
    glass: tuple[int, int, int]
    cap: tuple[int, int, int]
    paper: tuple[int, int, int]
    ink: tuple[int, int, int]


PRODUCTS = {
    "lime": Product("lime", 178, 28.5, 10.5, 13.5, 23, (0.835, 0.885), 0.0,
                    (134, 178, 62), (196, 214, 208), (28, 120, 92), (238, 240, 232), (24, 112, 96)),
    "amber": Product("amber", 170, 30.0, 12.0, 15.5, 22, (0.825, 0.880), 0.045,
                     (216, 126, 34), (214, 206, 190), (186, 40, 40), (244, 228, 190), (150, 34, 38)),
}  # fmt: skip


@dataclass(frozen=True)
class Blemish:
    """A dent or a cluster of scratches on the face. Centre and half size in the bottle's own coordinates."""

    x: float
    up: float
    half_width: float
    half_height: float
    scratched: bool


@dataclass(frozen=True)
class Bottle:
    """One bottle's own measures, in reference pixels: x from its axis, `up` from the lowest point of its base."""

    product: Product
    defects: frozenset[Defect]
    height: float  # with the cap on
    half_width: float
    cap_dx: float
    fill: float  # centre of the surface over the height of the visible bottle
    label_tilt: float  # radians
    label_up: float  # centre of the label
    blemish: Blemish | None
    tint: tuple[float, float, float]
    grain: int  # seed of what is drawn but never judged: drops, print, the form of a scratch

    @property
    def top(self) -> float:
        """Height of what is seen: without a cap the neck ends a little lower."""
        return self.height - (3.0 if Defect.MISSING_CAP in self.defects else 0.0)

    @property
    def level_up(self) -> float:
        """Height of the liquid's surface."""
        return self.fill * self.top

    @property
    def label_half(self) -> tuple[float, float]:
        """Half the label's length along the round of the bottle, and half its height."""
        return 1.1 * self.half_width, 0.135 * self.height

    @cached_property
    def boxes(self) -> dict[str, Box]:
        """Class name to (left, lower, right, upper), x from the axis and heights from the base."""
        half, top = self.half_width, self.top
        boxes: dict[str, Box] = {"bottle": (-half, 0.0, half, top)}
        if Defect.MISSING_CAP not in self.defects:
            cap_half, cap_low = self.product.cap_half, self.height - self.product.cap_height
            boxes["cap"] = (self.cap_dx - cap_half, cap_low, self.cap_dx + cap_half, self.height)
        if Defect.MISSING_LABEL not in self.defects:
            crooked = Defect.CROOKED_LABEL in self.defects
            boxes["crooked_label" if crooked else "label"] = self._label_box()
        boxes["level"] = (-half, self.level_up - LEVEL_HEIGHT / 2, half, self.level_up + LEVEL_HEIGHT / 2)
        if (spot := self.blemish) is not None:
            boxes["dent"] = (spot.x - spot.half_width, spot.up - spot.half_height,
                             spot.x + spot.half_width, spot.up + spot.half_height)  # fmt: skip
        return boxes

    def half_width_at(self, up: Floats) -> Floats:
        """Half the silhouette's width at these heights: body, shoulder, neck; the cap is not part of it."""
        low, high = (fraction * self.height for fraction in self.product.shoulder)
        rise = np.clip((up - low) / (high - low), 0, 1)
        neck = self.product.neck_half
        round_off = neck + (self.half_width - neck) * np.sqrt(np.clip(1 - rise**2, 0, 1))
        middle = np.exp(-(((up / self.height - 0.60) / 0.07) ** 2))
        return np.asarray(round_off * (1 - self.product.waist * middle), np.float32)

    def sag(self, x: Floats, half_width: float | None = None) -> Floats:
        """How much higher than in the middle a ring around the bottle is seen at x: the camera looks down on it."""
        half = self.half_width if half_width is None else half_width
        return np.asarray(ELEVATION * half * (1 - np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))), np.float32)

    def on_label(self, x: Floats, up: Floats) -> tuple[Floats, Floats]:
        """These points in the label's own coordinates, each -1 to 1 inside it."""
        around = np.arcsin(np.clip(x / self.half_width, -1, 1)) * self.half_width
        above = up - self.sag(x) - self.label_up
        cos, sin = np.cos(self.label_tilt), np.sin(self.label_tilt)
        half_length, half_height = self.label_half
        u = (around * cos + above * sin) / half_length
        v = (-around * sin + above * cos) / half_height
        return u.astype(np.float32), v.astype(np.float32)

    def _label_box(self) -> Box:
        step = 0.5  # a crooked label's outline has no handy formula, so look for its ends on a grid
        xs = np.arange(-self.half_width, self.half_width, step, dtype=np.float32) + step / 2
        reach = np.ceil(np.hypot(*self.label_half) + ELEVATION * self.half_width)
        low = np.floor(self.label_up) - reach
        ups = np.arange(low, low + 2 * reach + 1, step, dtype=np.float32) + step / 2
        x, up = np.meshgrid(xs, ups)
        u, v = self.on_label(x, up)
        inside = (np.abs(u) < 1) & (np.abs(v) < 1) & (np.abs(x) < self.half_width_at(up))
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        return (float(xs[columns[0]] - step / 2), float(ups[rows[0]] - step / 2),
                float(xs[columns[-1]] + step / 2), float(ups[rows[-1]] + step / 2))  # fmt: skip


def make_bottle(rng: np.random.Generator, product: Product, defects: Collection[Defect]) -> Bottle:
    """A bottle of this product with these defects and its own small variation."""
    height = product.height + rng.uniform(-3.0, 3.0)
    low = Defect.LOW_FILL in defects
    crooked = Defect.CROOKED_LABEL in defects
    tilt = rng.uniform(12.5, 25.0) * rng.choice([-1, 1]) if crooked else rng.uniform(-2.0, 2.0)
    return Bottle(
        product=product,
        defects=frozenset(defects),
        height=height,
        half_width=product.half_width + rng.uniform(-0.5, 0.8),
        cap_dx=rng.uniform(-0.7, 0.7),
        fill=rng.uniform(0.59, 0.65) if low else rng.uniform(0.763, 0.797),
        label_tilt=float(np.deg2rad(tilt)),
        label_up=(0.345 + rng.uniform(-0.008, 0.008)) * height,
        blemish=_blemish(rng, height) if Defect.DENT in defects else None,
        tint=(rng.uniform(0.93, 1.07), rng.uniform(0.93, 1.07), rng.uniform(0.93, 1.07)),
        grain=int(rng.integers(2**31)),
    )


def _blemish(rng: np.random.Generator, height: float) -> Blemish:
    half_width, half_height = rng.uniform(12.0, 17.0), rng.uniform(11.0, 13.0)
    # Below the label: nothing else lies there, and it is far from the middle of the bottle, where the detector's cells
    # already answer for the bottle itself and would have to give up one of the two.
    span = (0.03, 0.185)
    low, high = span[0] * height + half_height, span[1] * height - half_height
    reach = 24.0 - half_width
    return Blemish(rng.uniform(-reach, reach), rng.uniform(min(low, high), max(low, high)), half_width, half_height,
                   scratched=bool(rng.random() < 0.5))  # fmt: skip
