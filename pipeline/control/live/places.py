"""So many at once and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.control.problems import busy

_COME_AGAIN_S = 10


class Places:
    """Counts who is let in."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self.taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """A place, for as long as what runs inside. Raises ApiError 503 where none is free."""
        if self.taken >= self._most:
            raise busy(f"{self._most} {self._what} are served here already", _COME_AGAIN_S)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
