"""The stored picture of a part, by what its message says of it, and nothing else that a message might name."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.masking import mask
from pipeline.sinks.snapshots import file_name
from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.sinks.snapshots import SnapshotSettings
    from stages.results.models import InspectionMessage

logger = logging.getLogger(__name__)

MOST_BYTES = 32_000_000  # of a JPEG: more is none of ours
ANSWERS_WITHIN_S = 8.0  # storage may be far away; nobody is to wait for ever
THREADS = 4
MOST_WAITING = 64
_DAY = 10  # signs of 2026-11-18

T = TypeVar("T")


class NoPicture(RaylineError):
    """There is no picture of this part to be had; says why."""


class PicturesUnavailable(RaylineError):
    """Storage does not answer now; says why, without credentials."""


class PartPictures:
    """Pictures under the configured folder. Blocks; several threads may call at once."""

    def __init__(self, settings: SnapshotSettings | None) -> None:
        self._settings = settings
        self._opened: tuple[Any, str, str] | None = None  # file system, its root, and that as an address

    def read(self, message: InspectionMessage) -> bytes:
        """The JPEG, as it was written. Raises NoPicture, PicturesUnavailable."""
        snapshot = message.snapshot
        if snapshot is None:
            raise NoPicture(message.snapshot_error or "no picture of it was asked for")
        if snapshot.sha256 is None:
            raise NoPicture("its message does not tell the picture's sha256")
        data = self._read(message.inspection_id, snapshot.uri)
        if len(data) > MOST_BYTES:
            raise NoPicture(f"the stored file is longer than {MOST_BYTES} bytes")
        if hashlib.sha256(data).hexdigest() != snapshot.sha256:
            raise NoPicture("the stored file is not the one its message tells of: their sha256 differ")
        return data

    def _read(self, inspection_id: str, uri: str) -> bytes:
        try:
            files, root, address = self._open()
        except Exception as exc:  # every fsspec backend has an error family of its own
            raise _unavailable(exc) from None
        path = f"{root}/{_name_under(address, inspection_id, uri)}"
        if address.startswith("file://") and not Path(path).resolve().is_relative_to(Path(root).resolve()):
            raise NoPicture("the picture is a link that leads out of the folder of `snapshots.uri`")
        try:
            with files.open(path, "rb") as file:
                data: bytes = file.read(MOST_BYTES + 1)
                return data
        except FileNotFoundError:
            raise NoPicture("the picture is no longer kept, or is on another machine") from None
        except Exception as exc:  # as above
            raise _unavailable(exc) from None

    def _open(self) -> tuple[Any, str, str]:
        from fsspec.core import url_to_fs

        settings = self._settings
        if settings is None:
            raise NoPicture("no pictures are kept here: the config file has no `snapshots`")
        if self._opened is None:
            files, root = url_to_fs(settings.uri, **settings.storage_options)
            root = root.rstrip("/")
            self._opened = files, root, files.unstrip_protocol(root).rstrip("/")
        return self._opened


class PictureThreads:
    """Threads for pictures alone, so that storage that hangs holds up nobody but who waits for a picture."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "rayline-pictures")
        self._under_way = 0

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` gives. Raises PicturesUnavailable where it takes too long, or too many wait; what it raises."""
        if self._under_way >= THREADS + MOST_WAITING:
            raise PicturesUnavailable("too many pictures are waited for already")
        self._under_way += 1
        doing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        doing.add_done_callback(self._done)
        return await within(asyncio.shield(doing))  # it counts until its thread is free, whoever stops waiting for it

    def close(self) -> None:
        """Waits for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, doing: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not doing.cancelled():
            doing.exception()  # whoever asked may have stopped waiting


async def within(work: Awaitable[T]) -> T:
    """What `work` gives. Raises PicturesUnavailable where it takes too long."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            return await work
    except TimeoutError:
        raise PicturesUnavailable(f"the pictures' storage does not answer within {ANSWERS_WITHIN_S:g} s") from None


def _name_under(address: str, inspection_id: str, uri: str) -> str:
    """The file's name in the folder: a day's folder, and the name that a part of this id has. Raises NoPicture."""
    if not uri.startswith(f"{address}/"):
        raise NoPicture("the picture is not in the folder of `snapshots.uri`: it was written by another configuration")
    name = uri.removeprefix(f"{address}/")
    day, _, file = name.partition("/")
    is_day = len(day) == _DAY and day.isascii() and day.replace("-", "").isdigit()
    if not is_day or file != file_name(inspection_id):
        raise NoPicture("its message names a picture that is not of this part")
    return name


def _unavailable(exc: Exception) -> RaylineError:
    if isinstance(exc, RaylineError):
        return exc
    logger.warning("pictures of parts: %s: %s", type(exc).__name__, mask(str(exc)))
    return PicturesUnavailable(f"the pictures' storage does not answer: {type(exc).__name__}")
