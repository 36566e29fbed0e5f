"""Pictures to calibrate with: so many of a camera, a video or a folder, spread over all it gives."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Generic, TypeVar

from pydantic import ValidationError

from pipeline.ingest.camera import make_source
from pipeline.ingest.camera_settings import CameraSettings, Pace
from pipeline.ingest.source import Source, SourceFrame, SourceInvalid, SourceLost, made
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Clock, Frame, Position, Prepared

_One = TypeVar("_One")


class Spread(Generic[_One]):
    """Of things that come one by one, how many nobody knows: at most so many, evenly spaced, the first among them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._step = 1
        self._seen = 0
        self.kept: list[_One] = []

    def wants(self) -> bool:
        """Whether the next one is to be kept; ask once for each."""
        wanted = self._seen % self._step == 0
        self._seen += 1
        return wanted

    def keep(self, one: _One) -> None:
        """One that was wanted. Where it is one too many every second goes, and from now on half as many are wanted."""
        self.kept.append(one)
        if len(self.kept) > self._most:
            self.kept = self.kept[::2]
            self._step *= 2


def take_pictures(addresses: Iterable[str], size_hw: tuple[int, int], most: int, live_s: float) -> list[Prepared]:
    """At most `most` pictures, as many of each address, letterboxed as cameras' are; one to a Prepared.

    Files are read to their end, live cameras for `live_s`. Raises SourceError where one gives none.
    """
    sources = [_settings(address) for address in addresses]
    share = max(1, most // max(len(sources), 1))
    return [one for settings in sources for one in _pictures_of(settings, Preprocessor(size_hw), share, live_s)]


def _settings(address: str) -> CameraSettings:
    try:
        return CameraSettings.model_validate({"camera_id": "calibration", "url": address, "pace": Pace.FAST})
    except ValidationError as exc:
        raise SourceInvalid(exc.errors()[0]["msg"].removeprefix("Value error, ")) from exc


def _pictures_of(settings: CameraSettings, preprocessor: Preprocessor, most: int, live_s: float) -> Iterator[Prepared]:
    spread: Spread[Prepared] = Spread(most)
    with closing(make_source(settings)) as source:
        source.open()
        for frame in _frames(source, live_s):
            if spread.wants():
                prepared = preprocessor.prepare([_as_frame(frame, settings.camera_id)])
                if len(prepared):
                    spread.keep(prepared)
    if not spread.kept:
        raise SourceLost(f"{settings.url} gave no picture that can be used")
    return iter(spread.kept)


def _frames(source: Source, live_s: float) -> Iterator[SourceFrame]:
    timer = threading.Timer(live_s, source.cancel)
    timer.daemon = True
    if source.live:
        timer.start()
    try:
        yield from (frame for frame in source.frames() if isinstance(frame, SourceFrame))
    finally:
        timer.cancel()


def _as_frame(frame: SourceFrame, camera_id: CameraId) -> Frame:
    return Frame(camera_id, frame.minor, frame.captured_at, Clock.MEDIA, Position("file:", 0, 0), made(frame.image))
