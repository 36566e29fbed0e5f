"""Waiting longer from try to try."""

import random
from itertools import islice

from pipeline.ingest.backoff import backoff_delays


def test_delays_double_up_to_the_longest() -> None:
    assert list(islice(backoff_delays(0.5, 4.0, jitter=0.0), 6)) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_jitter_only_shortens_and_by_at_most_its_share() -> None:
    exact = list(islice(backoff_delays(1.0, 30.0, jitter=0.0), 50))
    shaken = list(islice(backoff_delays(1.0, 30.0, jitter=0.25, rng=random.Random(3)), 50))
    assert all(0.75 * whole <= delay <= whole for whole, delay in zip(exact, shaken, strict=True))
    assert len(set(shaken)) == 50


def test_a_first_delay_above_the_longest_is_cut() -> None:
    assert next(backoff_delays(10.0, 2.0, jitter=0.0)) == 2.0
