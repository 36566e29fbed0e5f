"""An annotated video of one camera: boxes, labels and ids drawn on its frames, as H.264."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.sinks.drawing import draw
from pipeline.sinks.snapshots import to_bgr
from stages.values import Frame, FrameResult

logger = logging.getLogger(__name__)

KEYFRAME_EVERY = 30  # frames
MOST_PARTS = 100  # films of one name: a camera that is let go of with each batch must not fill the disk with files
_TIME_BASE = Fraction(1, 1000)

_claiming = threading.Lock()
_written: set[Path] = set()


class AnnotatedVideo:
    """Writes frames at their own times; made at the first frame, in its size. Frames of another size are scaled.

    A file of an earlier run is overwritten; one this process wrote is not: what follows goes to `name-2.mp4` and so on.
    A file that cannot be written is told once and let go of: results matter more than a film of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = None
        self._stream: Any = None
        self._first_at = 0.0
        self._last_pts = -1
        self._given_up = False

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Draw the result on the frame and append it."""
        if self._given_up:
            return
        try:
            self._add(frame, result)
        except (av.error.FFmpegError, OSError) as exc:
            self._give_up(exc)

    def close(self) -> None:
        """Finish the file; may be called more than once."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            with container:
                for packet in self._stream.encode():
                    container.mux(packet)
        except (av.error.FFmpegError, OSError) as exc:
            self._give_up(exc)

    def _add(self, frame: Frame, result: FrameResult) -> None:
        image = draw(to_bgr(frame.image), result)
        if self._container is None:
            self._open(image.shape[1], image.shape[0], frame.captured_at)
        pts = max(self._last_pts + 1, round((frame.captured_at - self._first_at) * 1000))
        picture = av.VideoFrame.from_ndarray(image, format="bgr24")
        picture.pts, picture.time_base, self._last_pts = pts, _TIME_BASE, pts
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def _give_up(self, exc: Exception) -> None:
        logger.error("%s cannot be written, the annotated video ends here: %s", self._path, exc)
        self._given_up = True
        container, self._container = self._container, None
        if container is not None:
            with suppress(av.error.FFmpegError, OSError):  # the disk may still be full
                container.close()

    def _open(self, width: int, height: int, first_at: float) -> None:
        # Fragmented: what was written can be played even if the process is killed before the end, but for the frames
        # since the last keyframe.
        form = {"movflags": "frag_keyframe+empty_moov", "flush_packets": "1"}
        self._path = _claim(self._path)
        self._container = av.open(str(self._path), "w", format="mp4", options=form)
        options = {"preset": "veryfast", "crf": "23", "g": str(KEYFRAME_EVERY)}
        self._stream = self._container.add_stream("libx264", rate=30, options=options)
        self._stream.width, self._stream.height = width - width % 2, height - height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _TIME_BASE
        self._first_at = first_at


def _claim(path: Path) -> Path:
    """The first of the path's names that this process has not written. Raises FileExistsError where there are many."""
    names = [path, *(path.with_stem(f"{path.stem}-{part}") for part in range(2, MOST_PARTS + 1))]
    with _claiming:
        for name in names:
            if name.absolute() not in _written:
                _written.add(name.absolute())
                return name
    raise FileExistsError(f"{MOST_PARTS} films of it are written already")
