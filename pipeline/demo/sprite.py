"""Draws one bottle as a picture with transparency, once; the renderer then only lays it on the belt."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.bottle import ELEVATION, LEVEL_HEIGHT, Blemish, Bottle, Defect, Floats

FINE = 2  # drawn this much finer, then averaged: smooth edges
MARGIN_X, MARGIN_TOP, MARGIN_BOTTOM = 22, 4, 34  # reference pixels around the bottle, for its shadow and reflection
LIGHT_FROM = -0.55  # where on the round of a bottle the lamp is seen, -1 left to 1 right


@dataclass(frozen=True)
class Sprite:
    """A bottle's picture. The axis lies at column `axis`, the lowest point of the base at row `base`."""

    colour: NDArray[np.uint8]  # (h, w, 3) RGB, already multiplied by its own opacity
    through: NDArray[np.uint8]  # (h, w, 3) how much of what lies behind is seen, 255 all of it
    axis: float
    base: float


class _Canvas:
    """Colour and opacity, painted from back to front."""

    def __init__(self, colour: Floats, opacity: Floats, x: Floats, up: Floats) -> None:
        self.colour = colour  # (h, w, 3) 0 to 1, times opacity
        self.opacity = opacity  # (h, w)
        self.x = x  # (h, w) from the axis
        self.up = up  # (h, w) from the lowest point of the base

    def around(self, left: float, lower: float, right: float, upper: float) -> "_Canvas":
        """The part of this canvas within these bounds; painting it paints this one."""
        columns = np.searchsorted(self.x[0], [left - 1, right + 1])
        rows = np.searchsorted(-self.up[:, 0], [-upper - 1, -lower + 1])
        window = slice(*rows), slice(*columns)
        return _Canvas(self.colour[window], self.opacity[window], self.x[window], self.up[window])

    def lay(self, colour: Floats | tuple[float, float, float], opacity: Floats) -> None:
        over = opacity[..., None]
        self.colour *= 1 - over
        self.colour += np.asarray(colour, np.float32) * over
        self.opacity *= 1 - opacity
        self.opacity += opacity

    def shine(self, amount: Floats) -> None:
        """Add light where there is something to lighten."""
        np.maximum(self.opacity, amount, out=self.opacity)
        self.colour += amount[..., None]
        np.minimum(self.colour, self.opacity[..., None], out=self.colour)


def draw_sprite(bottle: Bottle, scale: float = 1.0) -> Sprite:
    """The bottle's picture, `scale` pixels per reference pixel."""
    half = int(np.ceil(bottle.half_width)) + MARGIN_X
    tall = int(np.ceil(bottle.height)) + MARGIN_TOP
    step = 1 / FINE
    xs = np.arange(-half, half, step, dtype=np.float32) + np.float32(step / 2)
    ups = np.arange(tall, -MARGIN_BOTTOM, -step, dtype=np.float32) - np.float32(step / 2)
    x, up = np.meshgrid(xs, ups)
    whole = _Canvas(np.zeros((*x.shape, 3), np.float32), np.zeros(x.shape, np.float32), x, up)
    _paint_bottle(whole.around(-bottle.half_width, 0, bottle.half_width, bottle.height), bottle)
    _ground(whole, bottle)
    size = (round(2 * half * scale), round((tall + MARGIN_BOTTOM) * scale))
    packed = np.dstack([whole.colour, 1 - whole.opacity]) * np.float32(255)
    small = cv2.resize(packed, size, interpolation=cv2.INTER_AREA)
    pixels = np.clip(small + 0.5, 0, 255).astype(np.uint8)
    through = np.repeat(pixels[..., 3:], 3, axis=2)
    return Sprite(np.ascontiguousarray(pixels[..., :3]), through, half * scale, tall * scale)


def _paint_bottle(canvas: _Canvas, bottle: Bottle) -> None:
    rng = np.random.default_rng(bottle.grain)
    _glass_and_liquid(canvas, bottle)
    for name in ("label", "crooked_label"):
        if name in bottle.boxes:
            _label(canvas.around(*bottle.boxes[name]), bottle, rng)
    _gloss(canvas, bottle, rng)
    if bottle.blemish is not None:
        _blemish(canvas.around(*bottle.boxes["dent"]), bottle, bottle.blemish, rng)
    neck = bottle.product.cap_half + 1
    _neck_or_cap(canvas.around(-neck, bottle.height * bottle.product.shoulder[0], neck, bottle.height), bottle)


def _soft(inside: Floats, width: float = 0.5) -> Floats:
    """Signed distance in pixels to opacity."""
    return np.asarray(np.clip(0.5 + inside / width, 0, 1), np.float32)


def _body(canvas: _Canvas, bottle: Bottle) -> Floats:
    x, up = canvas.x, canvas.up
    return _soft(bottle.half_width_at(up) - np.abs(x)) * _soft(up - bottle.sag(x)) * _soft(bottle.top - up)


def _rgb(colour: tuple[int, int, int], bottle: Bottle) -> Floats:
    return np.asarray(colour, np.float32) / 255 * np.asarray(bottle.tint, np.float32)


def _round_shade(x: Floats, half: Floats | float) -> Floats:
    """Light on a round body: bright towards the lamp, dark at the far edge."""
    n = np.clip(x / half, -1, 1)
    facing = n * LIGHT_FROM + np.sqrt(1 - n**2) * math.sqrt(1 - LIGHT_FROM**2)
    return np.asarray(0.45 + 0.62 * np.clip(facing, 0, 1), np.float32)


def _glass_and_liquid(canvas: _Canvas, bottle: Bottle) -> None:
    x, up, body = canvas.x, canvas.up, _body(canvas, bottle)
    half = bottle.half_width_at(up)
    n = np.clip(np.abs(x) / half, 0, 1)
    shade = _round_shade(x, half)
    glass = _rgb(bottle.product.glass, bottle)
    canvas.lay(glass * shade[..., None], body * (0.26 + 0.5 * n**5))
    surface_half = bottle.half_width - 1.5
    tilt = ELEVATION * surface_half
    ring = 1 - (x / surface_half) ** 2 - ((up - bottle.level_up) / tilt) ** 2
    front = bottle.level_up - tilt * np.sqrt(np.clip(1 - (x / surface_half) ** 2, 0, 1))
    liquid = _rgb(bottle.product.liquid, bottle)
    deep = 1 - 0.22 * np.clip((bottle.level_up - up) / bottle.height, 0, 1) - 0.25 * n**4
    canvas.lay(liquid * (shade * deep)[..., None], body * _soft(front - up, 1.0) * 0.92)
    surface = body * _soft(ring * tilt * 0.5, 1.0)
    canvas.lay(np.minimum(liquid * 1.18 + 0.10, 1) * (0.85 + 0.15 * shade)[..., None], surface * 0.95)
    # The rim: foam clings to the wall, light above and dark below; it fills the level's box to its edges.
    rim = LEVEL_HEIGHT / 2 - tilt
    outer = 1 - (x / (surface_half + 1.0)) ** 2 - ((up - bottle.level_up) / (tilt + rim)) ** 2
    edge = body * _soft(outer * tilt * 0.5, 1.0) * (1 - _soft(ring * tilt * 0.5 - 0.6, 1.0))
    below = _soft(bottle.level_up - up, 2.0)[..., None]
    canvas.lay(liquid * 0.45 * below + np.minimum(liquid * 0.5 + 0.45, 1) * (1 - below), edge * 0.8)


def _label(canvas: _Canvas, bottle: Bottle, rng: np.random.Generator) -> None:
    x, up, body = canvas.x, canvas.up, _body(canvas, bottle)
    u, v = bottle.on_label(x, up)
    half_length, half_height = bottle.label_half
    inside = body * _soft((1 - np.abs(u)) * half_length, 1.0) * _soft((1 - np.abs(v)) * half_height, 1.0)
    paper, ink = _rgb(bottle.product.paper, bottle), _rgb(bottle.product.ink, bottle)
    print_of = _lime_print if bottle.product.name == "lime" else _amber_print
    inked = print_of(u, v, half_length / half_height, rng)[..., None]
    shade = _round_shade(x, bottle.half_width)[..., None]
    canvas.lay((paper * (1 - inked) + ink * inked) * (0.25 + 0.78 * shade), inside)


def _lime_print(u: Floats, v: Floats, aspect: float, rng: np.random.Generator) -> Floats:
    bands = (np.abs(v) > 0.74) & (np.abs(v) < 0.92)
    ring = np.abs(np.hypot(u * aspect, v) - 0.42) < 0.11
    leaf = (np.hypot((u - 0.08) * aspect, v - 0.06) < 0.20) & (u * aspect + v > 0.02)
    words = (np.abs(np.abs(u) - 0.62) < 0.16) & (np.sin(v * 19 + rng.uniform(0, 6)) > 0.1) & (np.abs(v) < 0.45)
    return np.asarray(bands | ring | leaf | words, np.float32)


def _amber_print(u: Floats, v: Floats, aspect: float, rng: np.random.Generator) -> Floats:
    band = v > 0.42
    sun = (np.hypot(u * aspect, v - 0.28) < 0.40) & (v <= 0.42)
    rays = (np.abs(np.hypot(u * aspect, v - 0.28) - 0.56) < 0.06) & (v < 0.3)
    bars = (v < -0.52) & (v > -0.84) & (np.sin(u * 34 + rng.uniform(0, 6)) > 0.15) & (np.abs(u) < 0.7)
    return np.asarray(band | sun | rays | bars, np.float32)


def _gloss(canvas: _Canvas, bottle: Bottle, rng: np.random.Generator) -> None:
    x, up, body = canvas.x, canvas.up, _body(canvas, bottle)
    n = x / bottle.half_width_at(up)
    along = np.clip((up / bottle.height - 0.04) * 12, 0, 1) * np.clip((0.9 - up / bottle.height) * 14, 0, 1)
    strip = 0.42 * np.exp(-(((n - LIGHT_FROM) / 0.075) ** 2)) + 0.14 * np.exp(-(((n - 0.72) / 0.06) ** 2))
    canvas.shine(body * along * strip * 0.8)
    # Drops of condensation: small, dim, never as large or as bright as damage.
    for _ in range(int(rng.integers(2, 9))):
        at_x, at_up = rng.uniform(-0.8, 0.8) * bottle.half_width, rng.uniform(0.05, 0.8) * bottle.height
        near = canvas.around(at_x - 3, at_up - 3, at_x + 3, at_up + 3)
        far = np.hypot(near.x - at_x, (near.up - at_up) * 0.8)
        near.shine(np.exp(-((far / rng.uniform(0.6, 1.2)) ** 2)) * rng.uniform(0.08, 0.2))
    canvas.lay((0.05, 0.06, 0.06), body * np.clip(np.abs(n) - 0.93, 0, 1) * 6.0 * 0.75)  # the wall's dark outline


def _blemish(canvas: _Canvas, bottle: Bottle, spot: Blemish, rng: np.random.Generator) -> None:
    body = _body(canvas, bottle)
    u, v = (canvas.x - spot.x) / spot.half_width, (canvas.up - spot.up) / spot.half_height
    if spot.scratched:
        _scratches(canvas, u, v, body, rng, spot.half_width)
        return
    far = np.hypot(u, v)
    hollow = body * np.clip((1 - far) * 3.5, 0, 1)
    facing = (u * 0.75 - v * 0.65) / np.maximum(far, 0.2)  # a dent is lit on the side away from the lamp
    canvas.lay((0.04, 0.04, 0.05), hollow * np.clip(0.35 - 0.75 * facing, 0, 0.85))
    canvas.shine(hollow * np.clip(facing, 0, 1) * np.clip(far * 1.3, 0, 1) * 0.75)
    canvas.shine(body * np.exp(-(((far - 0.92) / 0.08) ** 2)) * np.clip(0.3 + 0.5 * facing, 0, 1) * 0.8)


def _scratches(canvas: _Canvas, u: Floats, v: Floats, body: Floats, rng: np.random.Generator, half: float) -> None:
    lean = float(rng.choice([-1, 1]))
    inside = body * _soft((1 - np.maximum(np.abs(u), np.abs(v))) * half, 1.0)
    canvas.lay((0.10, 0.10, 0.11), inside * np.clip(1.2 - np.hypot(u, v), 0, 1) * 0.35)  # the rubbed patch
    for offset in np.linspace(-0.85, 0.85, 5) + rng.uniform(-0.08, 0.08, 5):
        slope = lean * rng.uniform(0.75, 1.1)
        line = np.abs(v - slope * u - offset * 0.9) * half / np.hypot(1, slope)
        canvas.shine(inside * np.exp(-((line / 1.1) ** 2)) * rng.uniform(0.7, 0.95))


def _neck_or_cap(canvas: _Canvas, bottle: Bottle) -> None:
    up = canvas.up
    product = bottle.product
    if Defect.MISSING_CAP in bottle.defects:
        _open_neck(canvas, bottle)
        return
    half, low = product.cap_half, bottle.height - product.cap_height
    at = canvas.x - np.float32(bottle.cap_dx)
    sag = bottle.sag(at, half)
    disc = ELEVATION * half
    mask = _soft(half - np.abs(at)) * _soft(up - low - sag) * _soft(bottle.height - disc + disc
        * np.sqrt(np.clip(1 - (at / half) ** 2, 0, 1)) - up)  # fmt: skip
    colour = _rgb(product.cap, bottle)
    ribs = 1 - 0.16 * (np.sin(np.arcsin(np.clip(at / half, -1, 1)) * 15) > 0)
    shade = _round_shade(at, half) * ribs
    canvas.lay(colour * shade[..., None] * 1.05, mask)
    lid = 1 - (at / half) ** 2 - ((up - bottle.height + disc) / disc) ** 2
    canvas.lay(np.minimum(colour * 1.15 + 0.13, 1), mask * _soft(lid * disc * 0.5, 1.0))
    canvas.lay((0.0, 0.0, 0.0), mask * np.exp(-(((up - low - sag - 4.5) / 0.7) ** 2)) * 0.45)  # tamper ring
    canvas.shine(mask * np.exp(-(((at / half - LIGHT_FROM) / 0.1) ** 2)) * (lid < 0) * 0.3)


def _open_neck(canvas: _Canvas, bottle: Bottle) -> None:
    x, up = canvas.x, canvas.up
    half = bottle.product.neck_half
    disc = ELEVATION * half
    middle = bottle.top - disc
    tube = _soft(half - np.abs(x)) * _soft(up - bottle.height * bottle.product.shoulder[1]) * _soft(
        middle + disc * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1)) - up)  # fmt: skip
    sag = bottle.sag(x, half)
    threads = np.exp(-((((up - sag - middle) % 5.0 - 2.5) / 0.8) ** 2)) * (up < middle - 2)
    canvas.lay(_rgb(bottle.product.glass, bottle) * _round_shade(x, half)[..., None], tube * 0.35)
    canvas.shine(tube * threads * 0.22)
    mouth = 1 - (x / half) ** 2 - ((up - middle) / disc) ** 2
    canvas.lay((0.10, 0.11, 0.11), _soft(mouth * disc * 0.5, 1.0) * 0.55)
    canvas.shine(np.exp(-((mouth / 0.25) ** 2)) * _soft(up - middle + disc + 1) * 0.45)


def _ground(canvas: _Canvas, bottle: Bottle) -> None:
    """The reflection below the base and the shadow to the right, both under the bottle itself."""
    foot = bottle.half_width
    low = canvas.around(-1000, -1000, 1000, 24)
    x, up = low.x, low.up
    shade = np.exp(-(((x - 5) / (foot * 0.95)) ** 4) - ((up - foot * ELEVATION * 0.5) / 8.5) ** 2)
    # What stands mirrored: the column at the same x, as far below the base's ring as the glass is above it.
    sag = bottle.sag(x)
    columns = (x - canvas.x[0, 0]) * FINE
    rows = (canvas.up[0, 0] - (2 * sag - up)) * FINE
    packed = np.dstack([canvas.colour, canvas.opacity])
    mirrored = cv2.remap(packed, columns, rows, cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0))
    mirrored *= (np.clip(1 + (up - sag) / 30, 0, 1) * 0.30 * (up < sag))[..., None].astype(np.float32)
    under = 1 - low.opacity
    low.colour += mirrored[..., :3] * under[..., None]
    low.opacity += (1 - (1 - shade * 0.6) * (1 - mirrored[..., 3])) * under
