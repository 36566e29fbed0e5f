"""How many pictures a second come."""

from __future__ import annotations


class FpsGauge:
    """Pictures per second, between one look and the next at least `least_s` later."""

    def __init__(self, now: float, least_s: float = 0.2) -> None:
        self.value = 0.0
        self._least_s = least_s
        self._looked_at = now
        self._count = 0

    def measure(self, now: float, count: int) -> None:
        """`count`: how many there were in all."""
        passed = now - self._looked_at
        if passed < self._least_s:
            return
        self.value = (count - self._count) / passed
        self._looked_at, self._count = now, count
