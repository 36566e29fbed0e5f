"""A folder of JPEG files at any fsspec address, of which the oldest go when there are too many."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.masking import mask

logger = logging.getLogger(__name__)

_OURS = re.compile(r"[A-Za-z0-9._-]{1,80}-[0-9a-f]{12}\.jpg")  # what may be deleted here: nothing but our own files


@dataclass(frozen=True, slots=True)
class ShelfLimits:
    """What may be kept; whichever is reached first."""

    max_files: int
    max_bytes: int
    max_age_s: float


@dataclass(frozen=True, slots=True, order=True)
class _Stored:
    at: float
    path: str
    size: int


class Shelf:
    """The folder, what is in it, and the limits on that. Counts again now and then, as others may write there too.

    One thread may put while another trims: neither waits for the other's storage calls.
    """

    _recount_every = 200  # writes

    def __init__(self, uri: str, storage_options: Mapping[str, Any], limits: ShelfLimits) -> None:
        self._limits = limits
        self._fs, self._root = url_to_fs(uri, **storage_options)
        self._stored: dict[str, _Stored] = {}  # oldest first
        self._bytes = 0
        self._lock = threading.Lock()  # of what is counted; never held while storage is asked
        self._put_since: dict[str, _Stored] | None = None  # what came while a count is under way
        self._since_count = self._recount_every

    def put(self, name: str, data: bytes, now: float) -> str:
        """Write a file, whole or not at all; answers its address."""
        path = f"{self._root.rstrip('/')}/{name}"
        if isinstance(self._fs, LocalFileSystem):
            _write_whole(Path(path), data)
        else:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.pipe_file(path, data)
        with self._lock:
            self._note(_Stored(now, path, len(data)))
        uri: str = self._fs.unstrip_protocol(path)
        return uri

    def trim(self, now: float) -> None:
        """Delete the oldest until the limits hold; the newest always stays, for its address is about to be told."""
        if self._since_count >= self._recount_every:
            self._recount(now)
        while (oldest := self._surplus(now)) is not None:
            self._delete(oldest.path)

    def _surplus(self, now: float) -> _Stored | None:
        """The oldest if it is one too many, and no longer counted."""
        with self._lock:
            oldest = next(iter(self._stored.values()), None)
            if oldest is None or len(self._stored) == 1 or not self._exceeds(now - oldest.at):
                return None
            self._note_gone(oldest)
            return oldest

    def _exceeds(self, oldest_age_s: float) -> bool:
        limits = self._limits
        return len(self._stored) > limits.max_files or self._bytes > limits.max_bytes or oldest_age_s > limits.max_age_s

    def _note(self, stored: _Stored) -> None:
        before = self._stored.get(stored.path)
        if before is not None:
            self._note_gone(before)
        self._bytes += stored.size
        self._stored[stored.path] = stored
        self._since_count += 1
        if self._put_since is not None:
            self._put_since[stored.path] = stored

    def _note_gone(self, stored: _Stored) -> None:
        del self._stored[stored.path]
        self._bytes -= stored.size

    def _recount(self, now: float) -> None:
        with self._lock:
            self._since_count, self._put_since = 0, {}
        found: dict[str, _Stored] = {}
        try:
            found = self._found(now)
        finally:
            with self._lock:
                came, self._put_since = self._put_since or {}, None
                if found:
                    known = {path: stored for path, stored in self._stored.items() if path in found}
                    self._count(found | known | came)

    def _count(self, stored: Mapping[str, _Stored]) -> None:
        self._stored = {each.path: each for each in sorted(stored.values())}
        self._bytes = sum(each.size for each in stored.values())

    def _found(self, now: float) -> dict[str, _Stored]:
        self._fs.invalidate_cache()  # others' files are to be seen
        found: dict[str, Any] = self._fs.find(self._root, detail=True)
        return {
            path: _Stored(_modified(info, now), path, int(info.get("size") or 0))
            for path, info in found.items()
            if _OURS.fullmatch(path.rsplit("/", 1)[-1])
        }

    def _delete(self, path: str) -> None:
        try:
            self._fs.rm_file(path)
        except FileNotFoundError:
            logger.debug("snapshot %s was already gone", path)
        except OSError as exc:
            logger.warning("old snapshot %s stays: %s", path, mask(str(exc)))
        if isinstance(self._fs, LocalFileSystem):
            with suppress(OSError):  # not empty yet
                Path(path).parent.rmdir()


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
        except FileNotFoundError:  # the last old picture of that day was deleted just now, and the folder with it
            path.parent.mkdir(parents=True, exist_ok=True)
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
