"""How many images may be here at once: who finds no room is told so before anything of theirs is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.control.problems import busy

MOST_RETRY_AFTER_S = 30


class Room:
    """Places for images that wait or are worked on."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self.s_per_image = 0.0  # as last measured; 0: nobody knows

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return self._taken

    @contextmanager
    def entered(self) -> Iterator[Stay]:
        """One place, for a request whose images nobody has counted yet. Raises ApiError 503."""
        stay = Stay(self)
        stay.grow(1)
        try:
            yield stay
        finally:
            self._taken -= stay.places

    def take(self, places: int) -> None:
        """Raises ApiError 503 where there are not as many."""
        if self._taken + places > self._places:
            raise busy("too many images wait already: try again", self.retry_after_s())
        self._taken += places

    def retry_after_s(self) -> int:
        """When what is here now will have been answered, at the rate of late."""
        return min(MOST_RETRY_AFTER_S, max(1, math.ceil(self._taken * self.s_per_image)))


class Stay:
    """The places of one request, given back when it is done."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.places = 0

    def grow(self, places: int) -> None:
        """Have that many, if there is room. Raises ApiError 503."""
        self._room.take(places - self.places)
        self.places = places
