"""Health that means something: work waits and nothing was completed for too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stages.errors import RaylineError


class Stalled(RaylineError):
    """A replica has work and completed none of it within the stall timeout."""


class Progress:
    """Counts work under way and remembers when something was last completed.

    Slow is healthy, stuck is not: `check` raises only while work waits and nothing was completed
    for `stall_timeout_s`.
    """

    def __init__(self, stall_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._under_way = 0
        self._last_step = clock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around one piece of work; the clock of a stall starts with the first piece after idleness."""
        if self._under_way == 0:
            self._last_step = self._clock()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._last_step = self._clock()

    def check(self) -> None:
        """Raises Stalled when work waits and nothing was completed for the stall timeout."""
        waited_s = self._clock() - self._last_step
        if self._under_way and waited_s > self._stall_timeout_s:
            raise Stalled(f"{self._under_way} calls wait and none was completed for {waited_s:.1f} s")
