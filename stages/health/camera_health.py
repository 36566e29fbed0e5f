"""Can the camera see: black, covered, frozen, blurred and stale pictures told from good ones."""

from __future__ import annotations

from collections import deque

import numpy as np
from pydantic import Field

from stages.settings import Settings
from stages.values import HealthState, PictureStats

LEARNED_SAMPLES = 300  # sharp pictures remembered, one every SAMPLE_EVERY_S: five minutes
SAMPLE_EVERY_S = 1.0


class HealthSettings(Settings):
    """When a picture is not fit to judge parts by. Luma is 0..255; times are seconds of capture."""

    black_mean: float = Field(
        20.0,
        ge=0,
        le=255,
        description="Mean luma below which a picture may be black (16 is video black). Higher notices a lamp failing "
        "earlier; too high calls dark scenes black.",
    )
    black_deviation: float = Field(
        6.0,
        ge=0,
        le=128,
        description="Luma deviation below which a dark picture is black. Higher also catches noisy black; too high "
        "takes dark scenes with small bright parts for black.",
    )
    covered_deviation: float = Field(
        5.0,
        ge=0,
        le=128,
        description="Luma deviation below which a picture that is not black shows nothing (a lid, a hand, a wall of "
        "steam). Higher notices thin covers; too high calls plain empty belts covered.",
    )
    frozen_after_s: float | None = Field(
        5.0,
        gt=0,
        le=3600,
        description="Seconds of unchanged pictures until they count as frozen; null never. Keep it above the camera's "
        "keyframe interval: a clean, still scene repeats itself exactly between keyframes. Shorter notices sooner; "
        "longer spares stopped belts.",
    )
    frozen_difference: float = Field(
        0.0,
        ge=0,
        le=64,
        description="Largest luma change of any of the 16x12 thumbnail cells that still counts as unchanged. 0 asks "
        "for the very same picture; 1 to 2 also catches a frozen picture that is encoded anew, and still scenes.",
    )
    frozen_mean_difference: float = Field(
        0.001,
        ge=0,
        le=16,
        description="Largest change of mean luma that still counts as unchanged. Sensor noise moves it by more than "
        "0.001, so a live still scene is told from a frozen one; raise it together with frozen_difference.",
    )
    min_sharpness: float = Field(
        4.0,
        ge=0,
        description="Sharpness (variance of the Laplacian) below which a picture is blurred, whatever was before. "
        "Higher notices soft focus; too high calls plain scenes blurred. Look at your camera's usual value first.",
    )
    blurred_share: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="Share of the camera's own usual sharpness below which it is blurred; 0 turns it off. Higher "
        "notices a lens going soft; too high reacts to parts passing.",
    )
    blurred_after_s: float = Field(
        2.0,
        ge=0,
        le=3600,
        description="Seconds blur must last. Longer ignores passing steam and motion; shorter stops verdicts sooner.",
    )
    warmup_samples: int = Field(
        10,
        ge=1,
        le=LEARNED_SAMPLES,
        description="Good pictures, one a second, needed to know the usual sharpness. More is steadier; until then "
        "only min_sharpness speaks.",
    )
    stale_after_s: float | None = Field(
        5.0,
        gt=0,
        le=3600,
        description="Age of the newest picture from which the camera is stale; null never. Shorter notices a stall "
        "sooner; shorter than a slow camera's frame interval flaps.",
    )
    bad_frames: int = Field(
        3,
        ge=1,
        le=1000,
        description="Pictures in a row that must show the same trouble. More ignores single odd frames; fewer stops "
        "verdicts sooner.",
    )
    good_frames: int = Field(
        5,
        ge=1,
        le=1000,
        description="Good pictures in a row that end a trouble. More avoids flapping; fewer gives verdicts sooner.",
    )


class CameraHealth:
    """The state of one camera. Nothing is kept over a restart; it is STALE until the first picture.

    The first picture is believed at once, so a black, covered or plainly blurred camera is never OK. What needs
    time to show needs it again after a restart: a freeze `frozen_after_s`; a loss of focus that stays above
    `min_sharpness` is not seen at all if the camera was never sharp before. Sharpness is learned from good pictures
    only and blur never becomes the new normal: after refocusing or moving the camera on purpose call `reset`.
    """

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self.reset()

    @property
    def state(self) -> HealthState:
        """As of the last `update`."""
        return self._state

    @property
    def since(self) -> float | None:
        """When the trouble began that `state` tells, seconds of capture; earlier than it was told. None while OK."""
        return None if self._state is HealthState.OK else self._since

    @property
    def repeated(self) -> bool:
        """True where the last picture was the one before over again, by every number that is measured of it."""
        return self._repeated

    def use(self, settings: HealthSettings) -> None:
        """Judge by these from now on; what was learned of the camera stays."""
        self._settings = settings

    def reset(self) -> None:
        """As new: no picture seen, nothing learned."""
        self._since: float | None = None
        self._suspect_since: float | None = None  # when the pictures began to say what they say now
        self._repeated = False
        self._stats: PictureStats | None = None
        self._state = HealthState.STALE
        self._captured_at: float | None = None
        self._pending = (HealthState.STALE, 0)  # what the last pictures say, and how many of them
        self._still: tuple[PictureStats, float] | None = None  # the picture that stands, and since when
        self._soft_since: float | None = float("-inf")  # soft for ever, until a sharp picture comes
        self._sharpness: deque[float] = deque(maxlen=LEARNED_SAMPLES)
        self._sampled_at = float("-inf")

    def update(self, stats: PictureStats, captured_at: float, now: float) -> HealthState:
        """State after one more picture. Times are Unix seconds; for replayed pictures hand `captured_at` as `now`."""
        first, backwards = self._captured_at is None, captured_at < (self._captured_at or captured_at)
        if backwards:  # a clock was set, or a file began anew: durations across it mean nothing
            self._still, self._soft_since, self._sampled_at = None, None, float("-inf")
        self._captured_at = captured_at
        self._repeated, self._stats = stats == self._stats, stats
        seen = self._judge(stats, captured_at, now)
        if first or seen is not self._pending[0]:
            self._suspect_since = self._began(seen, captured_at)
        before, self._state = self._state, seen if first else self._settle(seen)
        if self._state is not before:
            self._since = self._suspect_since
        if seen is HealthState.OK and self._state is HealthState.OK:
            self._learn(stats.sharpness, captured_at)
        return self._state

    def _judge(self, stats: PictureStats, captured_at: float, now: float) -> HealthState:
        frozen, blurred = self._is_frozen(stats, captured_at), self._is_blurred(stats, captured_at)
        settings = self._settings
        if stats.mean < settings.black_mean and stats.deviation < settings.black_deviation:
            return HealthState.BLACK
        if stats.deviation < settings.covered_deviation:
            return HealthState.COVERED
        if frozen:
            return HealthState.FROZEN
        if blurred:
            return HealthState.BLURRED
        return HealthState.STALE if self._is_stale(captured_at, now) else HealthState.OK

    def _began(self, seen: HealthState, captured_at: float) -> float:
        """When what shows now began: a freeze and a blur show only when they have lasted."""
        if seen is HealthState.FROZEN and self._still is not None:
            return self._still[1]
        if seen is HealthState.BLURRED and self._soft_since is not None:
            return max(self._soft_since, captured_at - self._settings.blurred_after_s)
        return captured_at

    def _settle(self, seen: HealthState) -> HealthState:
        """One odd picture changes nothing: the same must be seen some times in a row."""
        said, times = self._pending
        self._pending = (seen, times + 1 if seen is said else 1)
        needed = self._settings.good_frames if seen is HealthState.OK else self._settings.bad_frames
        return seen if self._pending[1] >= needed else self._state

    def _is_stale(self, captured_at: float, now: float) -> bool:
        return self._settings.stale_after_s is not None and now - captured_at > self._settings.stale_after_s

    def _is_frozen(self, stats: PictureStats, captured_at: float) -> bool:
        if self._still is None or not self._same(self._still[0], stats):
            self._still = (stats, captured_at)
        limit = self._settings.frozen_after_s
        return limit is not None and captured_at - self._still[1] >= limit

    def _same(self, before: PictureStats, stats: PictureStats) -> bool:
        if abs(before.mean - stats.mean) > self._settings.frozen_mean_difference:
            return False
        return before.thumbnail == stats.thumbnail or (
            len(before.thumbnail) == len(stats.thumbnail)
            and _largest_difference(before.thumbnail, stats.thumbnail) <= self._settings.frozen_difference
        )

    def _is_blurred(self, stats: PictureStats, captured_at: float) -> bool:
        if stats.sharpness >= self._sharpness_limit():
            self._soft_since = None
            return False
        if self._soft_since is None:
            self._soft_since = captured_at
        return captured_at - self._soft_since >= self._settings.blurred_after_s

    def _sharpness_limit(self) -> float:
        if len(self._sharpness) < self._settings.warmup_samples:
            return self._settings.min_sharpness
        usual = float(np.median(self._sharpness))
        return max(self._settings.min_sharpness, self._settings.blurred_share * usual)

    def _learn(self, sharpness: float, captured_at: float) -> None:
        if self._soft_since is None and captured_at - self._sampled_at >= SAMPLE_EVERY_S:
            self._sharpness.append(sharpness)
            self._sampled_at = captured_at


def _largest_difference(a: bytes, b: bytes) -> int:
    return int(np.abs(np.frombuffer(a, np.uint8).astype(np.int16) - np.frombuffer(b, np.uint8)).max(initial=0))
