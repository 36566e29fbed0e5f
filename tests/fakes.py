"""Stand-ins for the edge of the system: small classes that keep the same promises as the real things."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.ingest.source import After, BadFrame, SourceFrame, made
from pipeline.observe.metrics import COUNTERS, GAUGES, HISTOGRAMS
from stages.values import Clock, Picture, PixelFormat


class ManualClock:
    """A clock that stands until it is told to go on."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@functools.cache  # one object for one brightness, so that frames can be compared
def grey_picture(level: int = 0, width: int = 4, height: int = 2) -> Picture:
    """A tiny picture of one brightness."""
    return Picture(np.full((height, width), level % 256, np.uint8), PixelFormat.GRAY8, width, height)


def source_frame(minor: int, major: int = 0, captured_at: float | None = None) -> SourceFrame:
    """A picture as a source gives it; its brightness is its number."""
    at = 1000.0 + minor / 10 if captured_at is None else captured_at
    return SourceFrame(grey_picture(minor), at, Clock.MEDIA, at, major, minor, decode_s=0.001)


@dataclass(frozen=True)
class WholeFrame:
    """A SourceFrame whose picture is made."""

    image: Picture
    captured_at: float
    clock: Clock
    received_at: float
    major: int
    minor: int


def whole(frame: SourceFrame) -> WholeFrame:
    """The frame with its picture copied out of the decoder."""
    return WholeFrame(made(frame.image), frame.captured_at, frame.clock, frame.received_at, frame.major, frame.minor)


Step = SourceFrame | BadFrame | Exception | Callable[[], None]


class ScriptedSource:
    """Plays a script: pictures are given, errors raised, callables called (to wait in, or to look around).

    A live one raises what the script ends with, or hangs until it is cancelled.
    """

    def __init__(
        self,
        script: Sequence[Step],
        live: bool = False,
        on_open: Callable[[], None] | Exception | None = None,
        identity: str = "scripted",
    ) -> None:
        self.live = live
        self.codec = ""
        self.identity = "" if live else identity
        self.asked_after: After | None = None
        self.opened = self.closed = 0
        self.cancelled = threading.Event()
        self._script = script
        self._on_open = on_open

    def open(self) -> None:
        self.opened += 1
        if isinstance(self._on_open, Exception):
            raise self._on_open
        if self._on_open is not None:
            self._on_open()

    def frames(self, after: After | None = None) -> Iterator[SourceFrame | BadFrame]:
        self.asked_after = after
        for step in self._script:
            if self.cancelled.is_set():
                return
            if isinstance(step, Exception):
                raise step
            if isinstance(step, SourceFrame):
                if after is None or self.live or (step.major, step.minor) > (after.major, after.minor):
                    yield step
            elif isinstance(step, BadFrame):
                yield step
            else:
                step()
        if self.live:
            self.cancelled.wait()

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed += 1


class RecordingMeter:
    """Keeps what it is told, and refuses what is not declared."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, amount: float, tags: dict[str, str]) -> None:
        self._note(name, amount, tags, COUNTERS[name][-1])

    def set(self, name: str, value: float, tags: dict[str, str]) -> None:
        self._note(name, value, tags, GAUGES[name][-1])

    def observe(self, name: str, value: float, tags: dict[str, str]) -> None:
        self._note(name, value, tags, HISTOGRAMS[name][-1])

    def total(self, name: str, **tags: str) -> float:
        """The sum of what was counted under a name, of those that carry these tags."""
        return sum(amount for told, amount, its in self.told if told == name and tags.items() <= its.items())

    def values(self, name: str, **tags: str) -> list[float]:
        """Everything told under a name, in order."""
        return [value for told, value, its in self.told if told == name and tags.items() <= its.items()]

    def _note(self, name: str, value: float, tags: dict[str, str], declared: tuple[str, ...]) -> None:
        assert set(tags) == set(declared)
        self.told.append((name, value, tags))
