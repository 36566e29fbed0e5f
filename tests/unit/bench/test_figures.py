"""Arithmetic of the benchmarks, on series whose answer is known."""

from __future__ import annotations

import random

import pytest

from bench.figures import line_through, percentiles, slope, spread


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles(range(1, 101)) == {"p50": 51, "p95": 96, "p99": 100}
    assert percentiles([7.0]) == {"p50": 7, "p95": 7, "p99": 7}
    assert percentiles([]) == {}


def test_a_spread_tells_the_median_and_both_ends() -> None:
    assert spread([3, 1, 2.004]) == {"median": 2.0, "low": 1, "high": 3}


def series(per_s: float, noise: float, count: int = 180, seed: int = 1) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    return [(10.0 * n, 200 + per_s * 10 * n + rng.gauss(0, noise)) for n in range(count)]


def test_growth_under_noise_is_told_from_none() -> None:
    grows = slope(series(0.01, 1.0))
    assert grows is not None
    assert grows.low < 0.01 < grows.high
    assert not grows.is_flat(least=0.001)


def test_noise_alone_is_flat_nineteen_times_of_twenty() -> None:
    found = [slope(series(0.0, 1.0, count=60, seed=seed)) for seed in range(200)]
    flat = sum(one is not None and one.is_flat(least=0.0) for one in found)
    assert 180 <= flat <= 198


def test_one_dip_does_not_tilt_a_level_line() -> None:
    level = [(10.0 * n, 200.0) for n in range(60)]
    level[50] = (500.0, 20.0)
    found = slope(level)
    assert found is not None
    assert (found.per_s, found.is_flat(least=0.0)) == (0.0, True)


def test_growth_too_small_to_matter_is_flat() -> None:
    exact = slope([(float(n), 1e-6 * n) for n in range(60)])
    assert exact is not None
    assert (exact.is_flat(least=1e-5), exact.is_flat(least=1e-7)) == (True, False)


def test_three_samples_tell_nothing() -> None:
    assert slope([(0, 1), (1, 2), (2, 3)]) is None


def test_a_fixed_cost_and_one_per_frame_are_told_apart() -> None:
    assert line_through([(2, 24), (8, 36), (32, 84)]) == pytest.approx((20, 2))
