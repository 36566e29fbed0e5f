"""The filters counted axis by axis give what the library's give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH, KalmanFilterXYWH

from stages.track.motion_filter import AspectHeightFilter, WidthHeightFilter

PAIRS = [(KalmanFilterXYAH, AspectHeightFilter, 0.6), (KalmanFilterXYWH, WidthHeightFilter, 48.0)]


@pytest.mark.parametrize(("library", "ours", "third"), PAIRS)
def test_a_track_followed_for_fifty_frames_has_the_librarys_states(library: Any, ours: Any, third: float) -> None:
    theirs, mine = library(), ours()
    rng = np.random.default_rng(0)
    state = mine_state = theirs.initiate(np.array([100, 200, third, 80.0]))
    for frame in range(50):
        state = tuple(x[0] for x in theirs.multi_predict(*(x[None] for x in state)))
        mine_state = tuple(x[0] for x in mine.multi_predict(*(x[None] for x in mine_state)))
        _same(mine_state, state)
        seen = np.array([100 + 3 * frame, 200, third, 80]) + rng.normal(0, 1, 4) * [1, 1, 0.01, 1]
        confidence = None if frame % 2 else 0.7
        state = theirs.update(*state, seen, confidence)
        mine_state = mine.update(*mine_state, seen, confidence)
        _same(mine_state, state)


@pytest.mark.parametrize(("library", "ours", "third"), PAIRS)
def test_several_frames_at_once_are_as_many_single_ones(library: Any, ours: Any, third: float) -> None:
    mean, covariance = library().initiate(np.array([100, 200, third, 80.0]))
    mean[4:] = [3, -1, 0.001, 2]
    states = one_by_one = (np.array([mean, mean * 1.1]), np.array([covariance, covariance * 2]))
    for _ in range(4):
        one_by_one = library().multi_predict(*one_by_one)
    _same(ours().multi_predict(*states, frames=4), one_by_one)


def _same(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-12)
    np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-12, atol=1e-12)
