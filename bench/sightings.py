"""When an object was shown and when its message could be read: two clocks' tales put together."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Sighting:
    """One message as a reader outside has it. Times are Unix seconds."""

    received_at: float  # on the reader's clock
    captured_at: float  # as the message says
    is_seen: bool  # whether it tells of an object
    own_ms: float  # latency as the message says


@dataclass(frozen=True)
class Told:
    """A show and the first message that tells of it."""

    shown_at: float
    sighting: Sighting

    @property
    def outside_ms(self) -> float:
        """From the picture to the message, without any clock of Rayline's."""
        return (self.sighting.received_at - self.shown_at) * 1e3

    @property
    def clock_error_ms(self) -> float:
        """What the message's `captured_at` is late by."""
        return (self.sighting.captured_at - self.shown_at) * 1e3


def sighting(received_at: float, message: Mapping[str, Any]) -> Sighting:
    """Of a detection message."""
    captured_at = datetime.fromisoformat(message["captured_at"]).timestamp()
    return Sighting(received_at, captured_at, bool(message["objects"]), message["latency_ms"]["total"])


def first_tellings(shows: Sequence[float], sightings: Sequence[Sighting]) -> list[Told]:
    """Each show with its first message; a show nobody told of is left out, and an object that flickers told of once.

    Both are in the order of time. A message belongs to the show before it that is nearest to its `captured_at`: that
    picks one of several, most of a second apart, where messages come later than the next show; it measures nothing.
    """
    told: dict[float, Told] = {}
    for edge in _appearances(sightings):
        before = shows[: bisect.bisect_right(shows, edge.received_at)]
        if before:
            shown_at = min(before, key=lambda at: abs(at - edge.captured_at))
            told.setdefault(shown_at, Told(shown_at, edge))
    return list(told.values())


def _appearances(sightings: Sequence[Sighting]) -> Iterator[Sighting]:
    was_seen = True  # what is there from the beginning has no instant
    for one in sightings:
        if one.is_seen and not was_seen:
            yield one
        was_seen = one.is_seen
