"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff_delays(
    first_s: float, most_s: float, jitter: float = 0.25, rng: random.Random | None = None
) -> Iterator[float]:
    """Delays in seconds, doubling from `first_s` to `most_s`, each shortened by up to `jitter` of itself.

    Endless; start a new one once a connection has held. Jitter keeps the cameras of one switch from all asking at once.
    """
    chance = (rng or random.Random()).random
    delay = min(first_s, most_s)
    while True:
        yield delay * (1.0 - jitter * chance())
        delay = min(delay * 2.0, most_s)
