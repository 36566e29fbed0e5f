"""Pictures of judged parts as JPEG files at any fsspec address, of which only so many are kept."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from queue import Full, Queue
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.masking import mask
from pipeline.sinks.shelf import Shelf, ShelfLimits
from pipeline.sinks.storage_thread import StorageSlow, StorageThread
from stages.settings import Settings
from stages.values import Picture, PixelFormat, UInt8, Verdict

logger = logging.getLogger(__name__)

Xyxy = tuple[float, float, float, float]

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_TO_BGR = {
    PixelFormat.YUV420P: cv2.COLOR_YUV2BGR_I420,
    PixelFormat.NV12: cv2.COLOR_YUV2BGR_NV12,
    PixelFormat.RGB24: cv2.COLOR_RGB2BGR,
}


class SnapshotArea(StrEnum):
    """How much of the picture is stored."""

    FULL = "full"
    CROP = "crop"


class SnapshotSettings(Settings):
    """Which parts are pictured, where the pictures go, and how many are kept."""

    uri: str = Field(
        "snapshots",
        min_length=1,
        description="Folder of the pictures: a path, or any fsspec address (s3://bucket/folder). Credentials come from "
        "the environment or storage_options, never from here.",
    )
    storage_options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Passed to fsspec as they are, such as endpoint_url and keys."
    )
    area: SnapshotArea = Field(
        SnapshotArea.FULL,
        description="full shows the part's surroundings; crop takes a tenth of the space and hides them.",
    )
    margin: float = Field(
        0.2,
        ge=0,
        le=2,
        description="Room around a crop, in parts of the box's size. More shows neighbours; less may "
        "cut what the box missed.",
    )
    quality: int = Field(
        85, ge=30, le=100, description="JPEG quality. Higher keeps fine scratches; lower takes less space."
    )
    pass_sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of passed parts that are pictured too, chosen by their id. More lets people "
        "check more passes; less takes less space. Rejected and indeterminate parts always are.",
    )
    max_files: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Pictures kept. More reaches further back; less takes less space. The oldest go first.",
    )
    max_bytes: int = Field(
        2_000_000_000,
        ge=100_000,
        le=10**14,
        description="Bytes kept. More reaches further back; less takes less space.",
    )
    max_age_s: float = Field(
        30 * 86400.0,
        ge=60,
        le=10 * 365 * 86400.0,
        description="Age in seconds at which a picture goes. Longer lets claims be checked later; shorter keeps less.",
    )
    write_timeout_s: float = Field(
        1.0,
        ge=0.05,
        le=4,
        description="Seconds a verdict waits for its picture to be stored. Longer suits distant storage; shorter holds "
        "the line's results back less. After one miss storage is left alone for 10 s.",
    )


@dataclass(frozen=True, slots=True)
class SnapshotWritten:
    """A picture that is stored."""

    uri: str
    sha256: str  # of the file's bytes
    origin: tuple[int, int] = (0, 0)  # its left upper pixel in the picture it was made of


@dataclass(frozen=True, slots=True)
class SnapshotFailed:
    """No picture, and why; the verdict goes out all the same."""

    reason: str


class Snapshots:
    """Writes one JPEG per chosen part; several threads may call at once.

    Storage is touched by threads of its own: `write` waits `write_timeout_s` for it and no longer, and old pictures are
    deleted in nobody's time.
    """

    def __init__(self, settings: SnapshotSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._shelf: Shelf | None = None
        self._storage = StorageThread[str]("snapshots", settings.write_timeout_s)
        self._untidy: Queue[bool] = Queue(1)  # True: tidy up, one request is as good as many; False: no more
        self._put_at = 0.0  # the newest picture's time
        self._tidier = threading.Thread(target=self._tidy_on, name="snapshots-tidy", daemon=True)
        self._tidier.start()

    def wanted(self, inspection_id: str, verdict: Verdict) -> bool:
        """True for all but passes, and for the same sample of passes on every replay."""
        if verdict is not Verdict.PASS:
            return True
        digest = hashlib.blake2b(inspection_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self._settings.pass_sample * 2**64

    def write(
        self, inspection_id: str, picture: Picture, box: Xyxy | None = None, at: float | None = None
    ) -> SnapshotWritten | SnapshotFailed:
        """Store the picture, or the box of it if so set. `at` (Unix seconds, now if None) names its day's folder."""
        now = self._clock()
        name = f"{datetime.fromtimestamp(now if at is None else at, UTC):%Y-%m-%d}/{file_name(inspection_id)}"
        try:
            image, origin = self._cut(to_bgr(picture), box)
            data = self._encode(image)
            uri = self._storage.call(lambda: self._put(name, data, now))
        except StorageSlow as exc:
            return self._failed(inspection_id, str(exc))
        except Exception as exc:  # every fsspec backend has an error family of its own, and no verdict may wait for it
            return self._failed(inspection_id, f"{type(exc).__name__}: {mask(str(exc))}"[:300])
        return SnapshotWritten(uri, hashlib.sha256(data).hexdigest(), origin)

    def close(self, timeout_s: float = 5.0) -> None:
        """Let what is under way be done, at most about `timeout_s`; nothing is to be written after."""
        self._storage.close(timeout_s)
        with suppress(Full):
            self._untidy.put(False, timeout=timeout_s)
            self._tidier.join(timeout_s)

    def _failed(self, inspection_id: str, reason: str) -> SnapshotFailed:
        logger.warning("no snapshot of %s: %s", inspection_id, reason)
        return SnapshotFailed(reason)

    def _put(self, name: str, data: bytes, now: float) -> str:
        uri = self._open_shelf().put(name, data, now)
        self._put_at = now
        with suppress(Full):  # asked for already
            self._untidy.put_nowait(True)
        return uri

    def _cut(self, image: UInt8, box: Xyxy | None) -> tuple[UInt8, tuple[int, int]]:
        if box is None or self._settings.area is not SnapshotArea.CROP:
            return image, (0, 0)
        return crop(image, box, self._settings.margin)

    def _encode(self, image: UInt8) -> bytes:
        fine, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._settings.quality])
        if not fine:
            raise ValueError(f"OpenCV cannot encode a picture of {image.shape}")
        return jpeg.tobytes()

    def _tidy_on(self) -> None:
        while self._untidy.get():
            try:
                self._open_shelf().trim(self._put_at)
            except Exception as exc:  # as above; the picture is stored, and the next write tidies again
                logger.warning("old snapshots stay: %s: %s", type(exc).__name__, mask(str(exc)))

    def _open_shelf(self) -> Shelf:
        if self._shelf is None:
            settings = self._settings
            limits = ShelfLimits(settings.max_files, settings.max_bytes, settings.max_age_s)
            self._shelf = Shelf(settings.uri, settings.storage_options, limits)
        return self._shelf


def file_name(inspection_id: str) -> str:
    """A name that stays in its folder whatever the id holds, is readable, and is another for another id."""
    readable = _UNSAFE.sub("_", inspection_id).strip("_")[:80] or "part"
    return f"{readable}-{hashlib.sha256(inspection_id.encode()).hexdigest()[:12]}.jpg"


def to_bgr(picture: Picture) -> UInt8:
    """(H, W, 3) uint8 B G R, or (H, W) for a grey picture: what OpenCV's encoder takes."""
    code = _TO_BGR.get(picture.format)
    if code is None:
        return picture.data
    return np.asarray(cv2.cvtColor(picture.data, code), np.uint8)


def crop(image: npt.NDArray[np.uint8], box: Xyxy, margin: float) -> tuple[UInt8, tuple[int, int]]:
    """The box (x1 y1 x2 y2, pixels) and its margin, as far as the picture reaches; all of it for a box outside.

    And where in the picture its left upper pixel is.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * margin, (y2 - y1) * margin
    left, right = max(0, int(x1 - dx)), min(width, int(x2 + dx) + 1)
    top, bottom = max(0, int(y1 - dy)), min(height, int(y2 + dy) + 1)
    if right <= left or bottom <= top:
        return image, (0, 0)
    return np.ascontiguousarray(image[top:bottom, left:right]), (left, top)
