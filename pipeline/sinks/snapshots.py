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
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # fsspec ships no types
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from pydantic import Field

from pipeline.sinks.errors import masked
from stages.settings import Settings
from stages.values import Picture, PixelFormat, UInt8, Verdict

logger = logging.getLogger(__name__)

Xyxy = tuple[float, float, float, float]

_OURS = re.compile(r"[A-Za-z0-9._-]{1,80}-[0-9a-f]{12}\.jpg")  # what may be deleted here: nothing but our own files
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


@dataclass(frozen=True, slots=True)
class SnapshotWritten:
    """A picture that is stored."""

    uri: str
    sha256: str  # of the file's bytes


@dataclass(frozen=True, slots=True)
class SnapshotFailed:
    """No picture, and why; the verdict goes out all the same."""

    reason: str


@dataclass(frozen=True, slots=True, order=True)
class _Stored:
    at: float
    path: str
    size: int


class Snapshots:
    """Writes one JPEG per chosen part. Blocks on storage: call it in a thread; several may call at once."""

    def __init__(self, settings: SnapshotSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._shelf: _Shelf | None = None

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
            data = self._encode(picture, box)
            with self._lock:
                shelf = self._open_shelf()
                uri = shelf.put(name, data, now)
        except Exception as exc:  # every fsspec backend has an error family of its own, and no verdict may wait for it
            reason = f"{type(exc).__name__}: {masked(str(exc))}"[:300]
            logger.warning("no snapshot of %s: %s", inspection_id, reason)
            return SnapshotFailed(reason)
        self._tidy(shelf, now)
        return SnapshotWritten(uri, hashlib.sha256(data).hexdigest())

    def _encode(self, picture: Picture, box: Xyxy | None) -> bytes:
        image = to_bgr(picture)
        if box is not None and self._settings.area is SnapshotArea.CROP:
            image = crop(image, box, self._settings.margin)
        fine, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._settings.quality])
        if not fine:
            raise ValueError(f"OpenCV cannot encode a picture of {image.shape}")
        return jpeg.tobytes()

    def _tidy(self, shelf: _Shelf, now: float) -> None:
        try:
            with self._lock:
                shelf.trim(now)
        except Exception:  # as above; the picture is stored, and the next write tidies again
            logger.warning("old snapshots could not be tidied away", exc_info=True)

    def _open_shelf(self) -> _Shelf:
        if self._shelf is None:
            self._shelf = _Shelf(self._settings)
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


def crop(image: npt.NDArray[np.uint8], box: Xyxy, margin: float) -> UInt8:
    """The box (x1 y1 x2 y2, pixels) and its margin, as far as the picture reaches; all of it for a box outside."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * margin, (y2 - y1) * margin
    left, right = max(0, int(x1 - dx)), min(width, int(x2 + dx) + 1)
    top, bottom = max(0, int(y1 - dy)), min(height, int(y2 + dy) + 1)
    if right <= left or bottom <= top:
        return image
    return np.ascontiguousarray(image[top:bottom, left:right])


class _Shelf:
    """The folder, what is in it, and the limits on that. Counts again now and then, as others may write there too."""

    _recount_every = 200  # writes

    def __init__(self, settings: SnapshotSettings) -> None:
        self._settings = settings
        self._fs, self._root = url_to_fs(settings.uri, **settings.storage_options)
        self._stored: dict[str, _Stored] = {}  # oldest first
        self._bytes = 0
        self._since_count = self._recount_every

    def put(self, name: str, data: bytes, now: float) -> str:
        """Write a file, whole or not at all; answers its address."""
        path = f"{self._root.rstrip('/')}/{name}"
        if isinstance(self._fs, LocalFileSystem):
            _write_whole(Path(path), data)
        else:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.pipe_file(path, data)
        self._note(_Stored(now, path, len(data)))
        uri: str = self._fs.unstrip_protocol(path)
        return uri

    def trim(self, now: float) -> None:
        """Delete the oldest until the limits hold; the newest always stays, for its address is about to be told."""
        self._since_count += 1
        if self._since_count >= self._recount_every:
            self._recount(now)
        while len(self._stored) > 1:
            oldest = next(iter(self._stored.values()))
            if not self._exceeds(now - oldest.at):
                return
            self._note_gone(oldest)
            self._delete(oldest.path)

    def _exceeds(self, oldest_age_s: float) -> bool:
        limits = self._settings
        return len(self._stored) > limits.max_files or self._bytes > limits.max_bytes or oldest_age_s > limits.max_age_s

    def _note(self, stored: _Stored) -> None:
        before = self._stored.get(stored.path)
        if before is not None:
            self._note_gone(before)
        self._bytes += stored.size
        self._stored[stored.path] = stored

    def _note_gone(self, stored: _Stored) -> None:
        del self._stored[stored.path]
        self._bytes -= stored.size

    def _recount(self, now: float) -> None:
        self._since_count = 0
        found: dict[str, Any] = self._fs.find(self._root, detail=True)
        ours = [
            _Stored(_modified(info, now), path, int(info.get("size") or 0))
            for path, info in found.items()
            if _OURS.fullmatch(path.rsplit("/", 1)[-1])
        ]
        self._stored = {stored.path: stored for stored in sorted(ours)}
        self._bytes = sum(stored.size for stored in ours)

    def _delete(self, path: str) -> None:
        try:
            self._fs.rm_file(path)
        except FileNotFoundError:
            logger.debug("snapshot %s was already gone", path)
        except OSError as exc:
            logger.warning("old snapshot %s stays: %s", path, masked(str(exc)))
        if isinstance(self._fs, LocalFileSystem):
            with suppress(OSError):  # not empty yet
                Path(path).parent.rmdir()


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)  # a reader never sees half a picture
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _modified(info: dict[str, Any], now: float) -> float:
    """When a file was written, Unix seconds, from whatever the backend calls it; `now` if it does not say."""
    value = info.get("mtime") or info.get("LastModified") or info.get("last_modified") or info.get("created")
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).timestamp()
    return float(value) if isinstance(value, int | float) else now
