"""`rtsp_reader: auto`: the direct reader where it can, FFmpeg for a camera that turns out to need it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.rtsp.errors import SourceDoubtful, SourceUnsupported
from pipeline.ingest.source import After, BadFrame, Source, SourceError, SourceFrame, SourceLost

logger = logging.getLogger(__name__)


class Choice:
    """What is known of one camera through all its connections."""

    def __init__(self) -> None:
        self.is_proven = False  # the direct reader has shown a picture
        self.needs_ffmpeg = False
        self.is_doubtful = False  # it was ruled out for silence or a hang-up, not for what it sent

    def rule_out(self, settings: CameraSettings, why: SourceError) -> None:
        """From now on FFmpeg reads this camera."""
        self.needs_ffmpeg, self.is_doubtful = True, isinstance(why, SourceDoubtful)
        logger.info("camera %s: FFmpeg reads it (%s)", settings.camera_id, why)

    def take_back(self) -> None:
        """FFmpeg could not reach it either: a camera that is away says nothing of the reader."""
        if self.is_doubtful:
            self.needs_ffmpeg = False


class AutoSource:
    """One run of one address, by one reader or, where the first cannot, by the other."""

    def __init__(
        self, settings: CameraSettings, choice: Choice, direct: Callable[[], Source], ffmpeg: Callable[[], Source]
    ) -> None:
        self.live = True
        self.identity = ""
        self._settings = settings
        self._choice = choice
        self._ffmpeg = ffmpeg
        self._cancelled = threading.Event()
        self._source = ffmpeg() if choice.needs_ffmpeg else direct()

    def open(self) -> None:
        """Connects. Raises SourceLost, SourceRefused or SourceInvalid."""
        try:
            return self._source.open()
        except (SourceUnsupported, SourceDoubtful) as exc:
            error = self._ruled_out(exc)
            if error is None and self._cancelled.is_set():
                error = SourceLost(str(exc))
        if error is not None:
            raise error
        self._go_on_with_ffmpeg()

    def frames(self, after: After | None = None) -> Iterator[SourceFrame | BadFrame]:
        """Pictures in order, until `cancel`."""
        shown = False
        try:
            for item in self._source.frames(after):
                if not shown and isinstance(item, SourceFrame):
                    self._choice.is_proven = shown = True
                yield item
        except (SourceUnsupported, SourceDoubtful) as exc:
            error = self._ruled_out(exc)
            if error is None and shown:
                error = SourceLost(str(exc))  # a new connection, for its numbers begin anew
        else:
            return
        if error is not None:
            raise error
        if self._cancelled.is_set():
            return
        self._go_on_with_ffmpeg()
        yield from self._source.frames(after)

    @property
    def codec(self) -> str:
        """Of whoever reads it now."""
        return self._source.codec

    def cancel(self) -> None:
        """Ends `frames` soon."""
        self._cancelled.set()
        self._source.cancel()

    def close(self) -> None:
        """Lets go of the connection."""
        self._source.close()

    def _ruled_out(self, why: SourceError) -> SourceError | None:
        """None where FFmpeg is to try now; else what the error means: it can be no fault of a reader that worked."""
        if isinstance(why, SourceDoubtful) and self._choice.is_proven:
            return SourceLost(str(why))
        self._choice.rule_out(self._settings, why)
        return None

    def _go_on_with_ffmpeg(self) -> None:
        self._source.close()
        self._source = self._ffmpeg()
        if self._cancelled.is_set():
            self._source.cancel()
        try:
            self._source.open()
        except SourceLost:
            self._choice.take_back()
            raise
