"""What a source of pictures promises: open, give frames in order, stop when told.

SourceError
  +-- SourceLost      the connection went; reconnect with backoff
  +-- SourceRefused   wrong password, no such path: reconnect slowly and say so
  +-- SourceInvalid   can never work (unknown scheme, no video in the file): FAILED
BadFrame              a value, not an error: pictures that were there and could not be had; counted
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from stages.errors import RaylineError
from stages.values import Clock, Picture

DECODE_ERROR = "decode_error"
BEHIND = "behind"


class SourceError(RaylineError):
    """Base of what a source raises; its text never holds credentials."""


class SourceLost(SourceError):
    """The stream was there and went, or did not answer: reconnect."""


class SourceRefused(SourceError):
    """The other side answered no (401, 404, 503): reconnect, slowly, and say why."""


class SourceInvalid(SourceError):
    """This address can never give a picture: no use trying again."""


@dataclass(frozen=True, slots=True)
class UnmadePicture:
    """A decoded picture still in the decoder's memory; copying it out is for those that are really used."""

    width: int
    height: int
    make: Callable[[], Picture]


def made(image: Picture | UnmadePicture) -> Picture:
    """The picture itself."""
    return image if isinstance(image, Picture) else image.make()


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One decoded picture and where it stands in its source. Times are Unix seconds, UTC."""

    image: Picture | UnmadePicture
    captured_at: float
    clock: Clock
    received_at: float
    major: int  # loop of a file run; 0 elsewhere (a live epoch is the camera's to give)
    minor: int  # counts every picture the source gave in this run, skipped ones included
    decode_s: float = 0.0  # seconds its decoding took; 0: nobody measured


@dataclass(frozen=True, slots=True)
class After:
    """The picture a replayable source goes on behind: its place, and when it was taken (Unix seconds) if known."""

    major: int
    minor: int
    captured_at: float | None = None  # keeps the dates of the pictures behind it what they would have been


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Pictures the source had and could not give; `reason` is the name they are counted under."""

    reason: str  # decode_error | behind
    count: int = 1


class Source(Protocol):
    """One run of one address. Made, opened, read and closed by one decode thread; only `cancel` comes from another."""

    live: bool  # True: its own pace, drop_oldest; False: read at our pace, wait
    identity: str  # what a replayable source is, after open: path, size and time of change; "" for live ones

    @property
    def codec(self) -> str:
        """As people call it, once it is known; else empty."""

    def open(self) -> None:
        """Connect; blocks at most the open timeout. Raises SourceLost, SourceRefused or SourceInvalid."""

    def frames(self, after: After | None = None) -> Iterator[SourceFrame | BadFrame]:
        """Pictures in order. Ends when a replayable source is at its end; raises SourceLost when a live one is.

        `after` is what a replayable source goes on behind; live sources do not look at it.
        """

    def cancel(self) -> None:
        """Asks `frames` to end soon, at the latest with the next packet; from any thread, never blocks."""

    def close(self) -> None:
        """Let go of everything; may be called in any state and more than once."""
