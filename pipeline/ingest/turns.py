"""When in the time between two pictures each of a shard's cameras is looked at."""

from __future__ import annotations

import zlib
from itertools import count

from stages.values import CameraId


class Turns:
    """Spreads a shard's cameras over the interval of their rate, so that they do not all bring a picture at once.

    Four cameras at 5 pictures a second then give one every 50 ms, and each is worked on when it comes; together they
    would come as four every 200 ms, and the last would wait for the first three.
    """

    def __init__(self, shard: str) -> None:
        self._offset = zlib.crc32(shard.encode()) / 2**32  # shards share a model: they are not to come at once either
        self._places: dict[CameraId, int] = {}

    def of(self, camera_id: CameraId) -> float:
        """The camera's turn, 0..1 of the interval; the same until it is given back."""
        if camera_id not in self._places:
            taken = set(self._places.values())
            self._places[camera_id] = next(place for place in count() if place not in taken)
        return (_spread(self._places[camera_id]) + self._offset) % 1.0

    def give_back(self, camera_id: CameraId) -> None:
        """The camera left: the next one that comes may have its turn."""
        self._places.pop(camera_id, None)


def _spread(place: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8 ...: as many as there are lie evenly (van der Corput's sequence, base 2)."""
    digits = f"{place:b}"
    return int(digits[::-1], 2) / (1 << len(digits))
