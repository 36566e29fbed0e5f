"""The library's Kalman filters, counted axis by axis: the same numbers for a fraction of the time.

Position, speed and size of one axis know nothing of another's: transition and noise keep them apart, so an 8x8
covariance holds four 2x2 blocks and zeros. The library multiplies the zeros too.
"""

# mypy: allow-subclassing-any

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ultralytics.trackers.basetrack import TrackState
from ultralytics.trackers.utils import kalman_filter

Float = npt.NDArray[np.float64]

_Xyah: Any = kalman_filter.KalmanFilterXYAH
_Xywh: Any = kalman_filter.KalmanFilterXYWH


class _AxisByAxis:
    """In front of a library filter. Takes covariances that couple no two axes, and gives such."""

    def multi_predict(self, mean: Float, covariance: Float, frames: int = 1) -> tuple[Float, Float]:
        """States (N, 8) and their covariances (N, 8, 8), some frames later."""
        mean, covariance = mean.copy(), covariance.copy()
        values, rates = mean[:, :4], mean[:, 4:]
        value, shared, rate = _blocks(covariance)
        for _ in range(frames):
            value_variance, rate_variance = self._motion_noise(mean)
            values += rates
            value += 2 * shared
            value += rate
            value += value_variance
            shared += rate
            rate += rate_variance
        covariance[:, _RATES, _VALUES] = shared
        return mean, covariance

    def update(
        self, mean: Float, covariance: Float, measurement: Float, confidence: float | None = None
    ) -> tuple[Float, Float]:
        """States (..., 8) and their covariances (..., 8, 8), corrected by what was measured (..., 4).

        `confidence` 0..1: the surer, the more the measurement counts; None: as the state's size says.
        """
        mean, covariance = mean.copy(), covariance.copy()
        value, shared, rate = _blocks(covariance)
        variance = value + self._measurement_noise(mean) * (1.0 if confidence is None else max(1 - confidence, 0.05))
        value_gain, rate_gain = value / variance, shared / variance
        innovation = measurement - mean[..., :4]
        mean[..., :4] += value_gain * innovation
        mean[..., 4:] += rate_gain * innovation
        rate -= rate_gain * shared
        value -= value_gain * value
        shared -= value_gain * shared
        covariance[..., _RATES, _VALUES] = shared
        return mean, covariance

    def _motion_noise(self, mean: Float) -> tuple[Float, Float]:
        """Variances (N, 4) that a frame adds to the values and to their rates."""
        raise NotImplementedError

    def _measurement_noise(self, mean: Float) -> Float:
        """Variances (..., 4) of a measurement of the states `mean` (..., 8)."""
        raise NotImplementedError


_VALUES = np.arange(4)  # where an axis' value stands in the state
_RATES = _VALUES + 4  # and its change a frame


def _blocks(covariance: Float) -> tuple[Float, Float, Float]:
    """Views (..., 4) of a covariance (..., 8, 8): variances of values, value with rate (upper half), rates."""
    axes = np.einsum("...aibi->...abi", covariance.reshape(*covariance.shape[:-2], 2, 4, 2, 4))
    return axes[..., 0, 0, :], axes[..., 0, 1, :], axes[..., 1, 1, :]


class AspectHeightFilter(_AxisByAxis, _Xyah):
    """For states of centre x, centre y, width / height, height."""

    _value_weights, _value_floor = np.array([1.0, 1, 0, 1]), np.array([0, 0, 1e-2, 0])
    _rate_floor, _measured_floor = np.array([0, 0, 1e-5, 0]), np.array([0, 0, 1e-1, 0])

    def _motion_noise(self, mean: Float) -> tuple[Float, Float]:
        by_height = mean[:, 3:4] * self._value_weights
        value = self._std_weight_position * by_height + self._value_floor
        rate = self._std_weight_velocity * by_height + self._rate_floor
        return value * value, rate * rate

    def _measurement_noise(self, mean: Float) -> Float:
        deviation: Float = self._std_weight_position * mean[..., 3:4] * self._value_weights + self._measured_floor
        return deviation * deviation


class WidthHeightFilter(_AxisByAxis, _Xywh):
    """For states of centre x, centre y, width, height."""

    def _motion_noise(self, mean: Float) -> tuple[Float, Float]:
        sides = mean[:, _SIDES] ** 2
        return self._std_weight_position**2 * sides, self._std_weight_velocity**2 * sides

    def _measurement_noise(self, mean: Float) -> Float:
        noise: Float = (self._std_weight_position * mean[..., _SIDES]) ** 2
        return noise


_SIDES = [2, 3, 2, 3]


def predict(motion: Any, tracks: Sequence[Any], frames: int, still_when_lost: slice) -> None:
    """Move the tracks on by some frames, all with one `motion` filter.

    A track that is out of sight keeps its size: `still_when_lost` are the places of those rates in the state.
    """
    if not tracks:
        return
    mean = np.array([track.mean for track in tracks])
    for state, track in zip(mean, tracks, strict=True):
        if track.state != TrackState.Tracked:
            state[still_when_lost] = 0
    mean, covariance = motion.multi_predict(mean, np.array([track.covariance for track in tracks]), frames)
    for track, its_mean, its_covariance in zip(tracks, mean, covariance, strict=True):
        track.mean, track.covariance = its_mean, its_covariance
