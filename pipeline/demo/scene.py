"""The factory around the bottles: a still background, the moving belt, and the light that drifts over both."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.bottle import Floats

Pixels = NDArray[np.uint8]

BELT_DEPTH = (44.0, 24.0)  # how far the belt reaches above and below where bottles stand, reference pixels
TEXTURE = (128, 1024)  # rows (far to near) and columns (one round) of the belt's own picture
EXPOSURE_S = 0.012


def background(rng: np.random.Generator, width: int, height: int, base_y: float) -> Pixels:
    """(H, W, 3) RGB: everything that does not move. `base_y` in pixels."""
    scale = width / 640
    tone = rng.uniform(0.75, 1.15) * np.array([1.0, rng.uniform(0.98, 1.06), rng.uniform(1.0, 1.16)])
    wall = np.linspace(92, 62, height)[:, None, None] * tone
    picture = np.broadcast_to(wall, (height, width, 3)).astype(np.float32).copy()
    for _ in range(26):  # machinery far behind, out of focus
        w, h = rng.uniform(20, 130) * scale, rng.uniform(20, 170) * scale
        x, y = rng.uniform(-40, 660) * scale, rng.uniform(-30, 250) * scale
        colour = rng.uniform(28, 120) * np.array([1, rng.uniform(0.92, 1.05), rng.uniform(0.9, 1.15)])
        if rng.random() < 0.12:
            colour = np.array(((186, 148, 46), (54, 92, 140), (150, 62, 52))[rng.integers(3)]) * 0.8
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), colour.tolist(), -1)
    for _ in range(5):  # lamps and indicator lights
        at = (int(rng.uniform(0, 640) * scale), int(rng.uniform(10, 90) * scale))
        cv2.circle(picture, at, int(rng.uniform(3, 9) * scale), rng.uniform(140, 255, 3).tolist(), -1)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 7.5 * scale), np.float32)
    _rail(picture, base_y - 46 * scale, 6 * scale, 120)
    _rail(picture, base_y - 128 * scale, 5 * scale, 105)
    for x in np.arange(rng.uniform(20, 60), 640, 150) * scale:  # the posts that carry the rails
        _post(picture, x, base_y - 134 * scale, base_y - 30 * scale, 5 * scale)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.1 * scale), np.float32)
    _front(picture, round(base_y + BELT_DEPTH[1] * scale), scale, rng)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _rail(picture: Floats, y: float, thick: float, bright: float) -> None:
    rows = np.arange(picture.shape[0])
    round_bar = np.clip(1 - ((rows - y) / thick) ** 2, 0, 1)
    gleam = np.exp(-(((rows - y + thick * 0.35) / (thick * 0.25)) ** 2))
    light = (bright * (0.35 + 0.5 * np.sqrt(round_bar)) + 90 * gleam)[:, None, None]
    cover = (round_bar > 0).astype(np.float32)[:, None, None]
    picture[:] = picture * (1 - cover) + light * np.array([0.96, 1.0, 1.04]) * cover


def _post(picture: Floats, x: float, top: float, bottom: float, half: float) -> None:
    left, right = max(0, round(x - half)), min(picture.shape[1], round(x + half))
    if right > left:
        n = (np.arange(left, right) - x) / half
        metal = (60 + 70 * np.exp(-(((n + 0.3) / 0.35) ** 2)))[None, :, None] * np.array([0.95, 1.0, 1.03])
        picture[round(top) : round(bottom), left:right] = metal


def _front(picture: Floats, top: int, scale: float, rng: np.random.Generator) -> None:
    """The conveyor's frame nearest to the camera, with its bolts."""
    rows = np.arange(picture.shape[0] - top)[:, None, None] / (40 * scale)
    steel = 118 - 62 * rows + 60 * np.exp(-((rows / 0.06) ** 2))
    brushed = rng.normal(0, 1, (picture.shape[0] - top, picture.shape[1], 1)).astype(np.float32)
    streaks = cv2.blur(brushed, (41, 1))[..., None] * 14
    picture[top:] = (steel + streaks) * np.array([0.95, 1.0, 1.05])
    for x in np.arange(rng.uniform(0, 60), 640, 78) * scale:
        at = (int(x), int(top + 17 * scale))
        cv2.circle(picture, at, round(4 * scale), (52, 54, 58), -1, cv2.LINE_AA)
        cv2.circle(picture, (at[0] - 1, at[1] - 1), round(2.4 * scale), (148, 152, 158), -1, cv2.LINE_AA)


class Belt:
    """The moving belt: a strip with texture, seen a little from above, so that far links move slower than near ones."""

    def __init__(self, rng: np.random.Generator, width: int, base_y: float) -> None:
        scale = width / 640
        self.top = round(base_y - BELT_DEPTH[0] * scale)
        self.bottom = round(base_y + BELT_DEPTH[1] * scale)
        shade = np.linspace(0.72, 1.08, TEXTURE[0])[:, None, None]  # the far edge lies in the machinery's shadow
        self._texture = np.clip(_belt_texture(rng) * shade, 0, 255).astype(np.uint8)
        rows = self.bottom - self.top
        near = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
        foot = (base_y - self.top) / rows
        zoom = 1 + 0.16 * (near - foot)  # 1 where bottles stand, so they and the belt under them move as one
        across = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / scale
        self._columns = (across / zoom).astype(np.float32)
        self._rows = np.broadcast_to(near * (TEXTURE[0] - 1), (rows, width)).astype(np.float32)

    def draw(self, picture: Pixels, travel: float) -> None:
        """Paint the belt into the picture after it moved that many reference pixels."""
        columns = self._columns + np.float32(-travel % TEXTURE[1])
        cv2.remap(self._texture, columns, self._rows, cv2.INTER_LINEAR, dst=picture[self.top : self.bottom],
                  borderMode=cv2.BORDER_WRAP)  # fmt: skip


def _belt_texture(rng: np.random.Generator) -> Floats:
    rows, columns = TEXTURE
    tone = np.array(((70, 74, 78), (58, 76, 84), (78, 74, 66), (64, 78, 70))[rng.integers(4)], np.float32)
    grain = rng.normal(0, 1, TEXTURE).astype(np.float32)
    coarse = np.roll(cv2.GaussianBlur(np.tile(grain, (1, 2)), (0, 0), 9), columns // 2, 1)[:, :columns] * 60
    fine = cv2.GaussianBlur(grain, (0, 0), 0.9) * 9
    x = np.arange(columns)[None, :]
    stagger = (np.arange(rows)[:, None] * 3 // rows % 2) * 16
    link = (x + stagger) % 32
    seams = -30.0 * (link < 2) + 20.0 * ((link >= 2) & (link < 4))
    lanes = -26.0 * (np.abs(np.arange(rows)[:, None] % (rows // 3) - 1) < 2)
    texture = (tone + (coarse + fine + seams + lanes)[..., None]).astype(np.float32)
    for _ in range(7):  # stains and worn places, so that a round of the belt is seen to move
        at = (int(rng.integers(80, columns - 80)), int(rng.integers(10, rows - 10)))
        stain = np.zeros(TEXTURE, np.float32)
        cv2.ellipse(stain, at, (int(rng.integers(14, 60)), int(rng.integers(4, 14))), 0, 0, 360, 1.0, -1)
        texture += cv2.GaussianBlur(stain, (0, 0), 5)[..., None] * rng.uniform(-26, 22)
    blur = max(1, round(125 * EXPOSURE_S))
    return np.asarray(cv2.blur(texture, (blur + 1, 1), borderType=cv2.BORDER_REFLECT), np.float32)


class Light:
    """Brightness and colour of the lamps over time and across the picture, with the lens' dark corners."""

    NEUTRAL = 160  # the gain map's value for "as it is"

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self._size = (width, height)
        self._mean = rng.uniform(0.92, 1.10)
        self._warm = rng.uniform(-0.05, 0.05)
        self._waves = [
            (rng.uniform(*period), rng.uniform(0, 2 * math.pi)) for period in ((50, 90), (17, 31), (60, 120))
        ]
        y, x = np.mgrid[-1:1:9j, -1:1:16j]
        self._vignette = (1.04 - 0.13 * (x**2 + y**2))[..., None].astype(np.float32)
        self._across = x[..., None].astype(np.float32)

    def gain_at(self, t_s: float) -> Pixels:
        """(H, W, 3) uint8, NEUTRAL leaves a pixel as it is."""
        first, second, third = (math.sin(2 * math.pi * t_s / period + phase) for period, phase in self._waves)
        bright = self._mean * (1 + 0.07 * first + 0.025 * second)
        warm = self._warm + 0.035 * third
        colour = np.array([1 + warm, 1.0, 1 - warm], np.float32)
        grid = self._vignette * (1 + 0.07 * second * self._across) * colour * (bright * self.NEUTRAL)
        small = np.clip(grid, 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR), np.uint8)
