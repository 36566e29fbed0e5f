"""The camera over the demo's bottle line: a picture for any moment, always the same for the same seed."""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.line import BottleLine, Placed
from pipeline.demo.scene import EXPOSURE_S, Belt, Light, background
from pipeline.demo.sprite import Sprite, draw_sprite

CLASS_NAMES = ("bottle", "cap", "label", "crooked_label", "level", "dent")
CACHED_SPRITES = 24  # three pictures' worth; a sprite is some 100 kB
NOISE_MARGIN = 64  # pixels by which the stored noise is larger than a picture


class Renderer:
    """Draws the line's pictures. One renderer serves one thread."""

    def __init__(self, line: BottleLine) -> None:
        self._line = line
        rng = np.random.default_rng((line.seed, 2))
        base_y = line.base_y * line.scale
        self._background = background(rng, line.width, line.height, base_y)
        self._belt = Belt(rng, line.width, base_y)
        self._light = Light(rng, line.width, line.height)
        size = (line.height + NOISE_MARGIN, line.width + NOISE_MARGIN, 3)
        noise = rng.normal(128, rng.uniform(2.5, 5.5), size).astype(np.float32)
        self._noise = np.clip(noise, 0, 255).astype(np.uint8)
        self._sprite = lru_cache(maxsize=CACHED_SPRITES)(self._draw)

    def render(self, t_s: float) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, the line `t_s` seconds after its start."""
        line = self._line
        picture = self._background.copy()
        self._belt.draw(picture, line.travel_at(t_s))
        blur = line.speed_at(t_s) * line.scale * EXPOSURE_S
        for x, placed in line.placed_at(t_s):
            self._stand(picture, self._sprite(placed), x * line.scale, blur)
        lit = cv2.multiply(picture, self._light.gain_at(t_s), scale=1 / Light.NEUTRAL)
        return self._noised(np.asarray(lit, np.uint8), t_s)

    @property
    def cached_sprites(self) -> int:
        """How many bottles' pictures are held now; at most CACHED_SPRITES."""
        return self._sprite.cache_info().currsize

    def _draw(self, placed: Placed) -> Sprite:
        return draw_sprite(placed.bottle, self._line.scale)

    def _stand(self, picture: NDArray[np.uint8], sprite: Sprite, x: float, blur: float) -> None:
        """Lay a sprite at its exact place: one filter both shifts it by the pixel's fraction and smears it."""
        left = x - sprite.axis
        column = math.floor(left)
        kernel = _smear(left - column, blur)
        top = round(self._line.base_y * self._line.scale - sprite.base)
        height, width = sprite.colour.shape[:2]
        lower = min(height, picture.shape[0] - top)
        first, last = max(0, -column), min(width, picture.shape[1] - column)
        if last <= first:
            return
        still = np.ones(1, np.float32)
        colour = cv2.sepFilter2D(sprite.colour[:lower], -1, kernel, still, borderType=cv2.BORDER_REPLICATE)
        through = cv2.sepFilter2D(sprite.through[:lower], -1, kernel, still, borderType=cv2.BORDER_REPLICATE)
        under = picture[top : top + lower, column + first : column + last]
        seen = cv2.multiply(under, through[:, first:last], scale=1 / 255)
        cv2.add(seen, colour[:, first:last], dst=under)

    def _noised(self, picture: NDArray[np.uint8], t_s: float) -> NDArray[np.uint8]:
        shake = np.random.default_rng((self._line.seed, 3, int(t_s * 1000)))
        y, x = shake.integers(NOISE_MARGIN, size=2)
        noise = self._noise[y : y + picture.shape[0], x : x + picture.shape[1]]
        return np.asarray(cv2.addWeighted(picture, 1, noise, 1, -128), np.uint8)


def _smear(shift: float, blur: float) -> NDArray[np.float32]:
    """Kernel that moves a row right by `shift` pixels (0 to 1) and smears it over `blur` pixels around that."""
    reach = 3
    taps = np.arange(-reach, reach + 1, dtype=np.float32)
    low, high = shift - max(blur, 1.0) / 2, shift + max(blur, 1.0) / 2
    cover = np.clip(np.minimum(taps + 0.5, high) - np.maximum(taps - 0.5, low), 0, None)
    kernel: NDArray[np.float32] = (cover[::-1] / cover.sum()).astype(np.float32)  # OpenCV correlates, so mirrored
    return kernel
