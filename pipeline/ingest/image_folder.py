"""A folder of pictures as a source: in the order a person would number them."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from pipeline.ingest.camera_settings import CameraSettings, Pace
from pipeline.ingest.pacing import Pacer
from pipeline.ingest.source import After, BadFrame, SourceFrame, SourceInvalid
from stages.values import Clock, Picture, PixelFormat

logger = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_DEFAULT_FPS = 10.0


class ImageFolderSource:
    """The pictures of one folder, `fps` of them a second of capture time; an unreadable one is a BadFrame."""

    live = False

    def __init__(
        self,
        settings: CameraSettings,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.codec = self.identity = ""
        self._settings = settings
        self._folder = Path(settings.url.path)
        self._wall = wall
        self._monotonic = monotonic
        self._paths: list[Path] = []
        self._cancelled = threading.Event()

    def open(self) -> None:
        """Lists the folder; pictures that come later are not seen. Raises SourceInvalid if it holds none."""
        try:
            self._paths = sorted((p for p in self._folder.iterdir() if p.suffix.lower() in SUFFIXES), key=_natural)
            changed = self._folder.stat().st_mtime_ns
        except OSError as exc:
            raise SourceInvalid(f"{self._folder} cannot be listed: {exc.strerror}") from exc
        if not self._paths:
            raise SourceInvalid(f"{self._folder} holds no picture ({' '.join(sorted(SUFFIXES))})")
        self.identity = f"{self._folder.resolve()},{len(self._paths)},{changed}"

    def frames(self, after: After | None = None) -> Iterator[SourceFrame | BadFrame]:
        """Every picture once, or over and over where the settings say `loop`. SourceInvalid if none can be read."""
        loop, done = (after.major, after.minor) if after else (0, -1)
        interval_s = 1.0 / (self._settings.fps or _DEFAULT_FPS)
        pacer = Pacer(self._cancelled.wait, self._monotonic)
        start = self._start_time()
        if after is not None and after.captured_at is not None:
            start = after.captured_at - (loop * len(self._paths) + done) * interval_s
        while not self._cancelled.is_set():
            any_picture = done >= 0
            for index in range(done + 1, len(self._paths)):
                at = (loop * len(self._paths) + index) * interval_s
                if self._settings.pace is Pace.REALTIME:
                    pacer.wait_until(at)
                if self._cancelled.is_set():
                    return
                item = self._read(index, loop, start + at)
                any_picture = any_picture or isinstance(item, SourceFrame)
                yield item
            if not any_picture:
                raise SourceInvalid(f"{self._folder} holds no picture that can be read")
            if not self._settings.loop:
                return
            loop, done = loop + 1, -1

    def cancel(self) -> None:
        """Ends `frames` before the next picture."""
        self._cancelled.set()

    def close(self) -> None:
        """Nothing is held open."""

    def _start_time(self) -> float:
        return self._folder.stat().st_mtime if self._settings.resume else self._wall()

    def _read(self, index: int, loop: int, captured_at: float) -> SourceFrame | BadFrame:
        path, started = self._paths[index], self._monotonic()
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)  # turns a picture upright where its EXIF says so
        if bgr is None:
            logger.warning("camera %s: %s is not a picture that can be read", self._settings.camera_id, path)
            return BadFrame("decode_error")
        height, width = bgr.shape[:2]
        picture = Picture(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), PixelFormat.RGB24, width, height)  # type: ignore[arg-type]
        decode_s = self._monotonic() - started
        return SourceFrame(picture, captured_at, Clock.MEDIA, self._wall(), loop, index, decode_s)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts 2.jpg before 10.jpg."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name.lower())]
