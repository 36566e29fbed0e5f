"""Health that means something: work waits and nothing was completed for too long."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stages.errors import RaylineError


class Stalled(RaylineError):
    """A replica has work and completed none of it within the stall timeout."""


class Progress:
    """Knows the work under way and when something was last completed.

    Slow is healthy, stuck is not. `check` raises only while work waits and nothing was completed for `stall_timeout_s`,
    or where a piece was overtaken so long ago: pieces are begun in their order, so that one was under way by then, and
    hangs beside others that do not.
    """

    def __init__(self, stall_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._numbers = itertools.count()
        self._under_way: dict[int, float | None] = {}  # piece -> when a later one was completed first
        self._last_step = clock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around one piece of work; the clock of a stall starts with the first piece after idleness."""
        if not self._under_way:
            self._last_step = self._clock()
        number = next(self._numbers)
        self._under_way[number] = None
        try:
            yield
        finally:
            del self._under_way[number]
            self._last_step = self._clock()
            for other, overtaken_at in self._under_way.items():
                if other < number and overtaken_at is None:
                    self._under_way[other] = self._last_step

    def check(self) -> None:
        """Raises Stalled where work is stuck."""
        now = self._clock()
        waited_s = now - self._last_step
        if self._under_way and waited_s > self._stall_timeout_s:
            raise Stalled(f"{len(self._under_way)} calls wait and none was completed for {waited_s:.1f} s")
        overtaken_s = now - min((at for at in self._under_way.values() if at is not None), default=now)
        if overtaken_s > self._stall_timeout_s:
            raise Stalled(f"a call hangs: one behind it was completed {overtaken_s:.1f} s ago")
