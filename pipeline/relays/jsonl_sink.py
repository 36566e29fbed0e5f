"""Messages into files of one a line: rotated by size and age, so many kept, whole after a crash."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from pipeline.relays.outgoing import STORED, Fate, OtherSideAway, Outgoing, Sent
from pipeline.relays.settings import Fsync, JsonLinesRelaySettings

logger = logging.getLogger(__name__)

LOCK = ".rayline-relay.lock"
_BLOCK = 65536  # bytes
_STAMP = "%Y%m%dT%H%M%S.%fZ"  # in file names: their order is that of time


class JsonLinesSink:
    """A file a topic at a time, named by when it was begun; the newest is the one being written."""

    def __init__(self, settings: JsonLinesRelaySettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._lock: IO[bytes] | None = None
        self._files: dict[str, _LinesFile] = {}
        self._synced_at = 0.0

    @property
    def address(self) -> str:
        """The folder."""
        return f"files in {self._settings.folder}"

    async def send(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """One fate each: a topic whose file cannot be written keeps no other. Raises OtherSideAway where none can."""
        stored: Counter[str] = Counter()
        try:
            await self._on_disk(partial(self._write, messages, stored))
        except OtherSideAway as exc:
            if not stored:
                raise
            return _fates(messages, stored, Sent(Fate.LEFT, str(exc), needs_a_person=exc.needs_a_person))
        return [STORED] * len(messages)

    async def tick(self) -> None:
        """Once a second: what is due for the disk goes there. Raises OtherSideAway."""
        if self._settings.fsync is Fsync.SECOND:
            await self._on_disk(partial(self._sync, always=True))

    async def close(self) -> None:
        """Close the files; what is in them reaches the disk, if that is set."""
        await asyncio.to_thread(self._close)

    async def _on_disk(self, work: Callable[[], None]) -> None:
        working = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            await asyncio.shield(working)
        except OSError as exc:
            await self.close()
            reason = f"{exc.strerror or type(exc).__name__}: {exc.filename or self._settings.folder}"
            raise OtherSideAway(reason, needs_a_person=True) from None
        except asyncio.CancelledError:  # the thread works on what `close` is to close
            await asyncio.wait([working])
            raise

    def _write(self, messages: Sequence[Outgoing], stored: Counter[str]) -> None:
        """Every topic by itself; `stored` says of each how many it took, also where another's OSError is raised."""
        self._claim()
        by_topic: dict[str, list[bytes]] = {}
        for message in messages:
            by_topic.setdefault(message.topic, []).append(one_line(message.data))
        failed: OSError | None = None
        for topic, lines in by_topic.items():
            try:
                self._write_topic(topic, lines, stored)
            except OSError as exc:
                failed = failed or exc
        if self._settings.fsync is Fsync.SECOND:
            self._sync_all(stored)
        if failed is not None:
            raise failed

    def _write_topic(self, topic: str, lines: list[bytes], stored: Counter[str]) -> None:
        while lines:
            file, before = self._file(topic), len(lines)
            file.append(self._what_fits(file, lines))
            if self._settings.fsync is Fsync.ALWAYS:
                file.sync()
            stored[topic] += before - len(lines)

    def _sync_all(self, stored: Counter[str]) -> None:
        try:
            self._sync(always=False)
        except OSError:
            stored.clear()  # nobody knows what the disk has of it
            raise

    def _what_fits(self, file: _LinesFile, lines: list[bytes]) -> bytes:
        """Lines taken off the front until the file is large enough; one at least."""
        taken, size = 0, file.size
        while taken < len(lines) and (not taken or size < self._settings.max_file_bytes):
            size += len(lines[taken])
            taken += 1
        block = b"".join(lines[:taken])
        del lines[:taken]
        return block

    def _file(self, topic: str) -> _LinesFile:
        """The one to write to now: the newest there is, or the next."""
        now = self._clock()
        file = self._files.get(topic)
        if file is None:
            newest = files_of(self._settings.folder, topic)[-1:]
            file = self._files[topic] = _LinesFile(newest[0]) if newest else self._next(topic, now)
        if file.size and (
            file.size >= self._settings.max_file_bytes or now - file.began_at >= self._settings.max_file_age_s
        ):
            file.close(sync=self._settings.fsync is not Fsync.NEVER)
            file = self._files[topic] = self._next(topic, now)
        return file

    def _next(self, topic: str, now: float) -> _LinesFile:
        there = files_of(self._settings.folder, topic)
        if there:  # a clock that was set back must not put it before them
            now = max(now, began_at(there[-1]) + 1e-3)
        made = _LinesFile(self._settings.folder / f"{topic}-{datetime.fromtimestamp(now, UTC).strftime(_STAMP)}.jsonl")
        for old in there[: max(0, len(there) + 1 - self._settings.max_files)]:
            old.unlink(missing_ok=True)
        return made

    def _sync(self, *, always: bool) -> None:
        now = self._clock()
        if always or abs(now - self._synced_at) >= 1.0:
            self._synced_at = now
            for file in self._files.values():
                file.sync()

    def _claim(self) -> None:
        """Two writers would cut each other's lines."""
        if self._lock is not None:
            return
        self._settings.folder.mkdir(parents=True, exist_ok=True)
        lock = (self._settings.folder / LOCK).open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise OSError(None, "another relay writes here", str(self._settings.folder)) from None
        except OSError:
            lock.close()
            raise
        self._lock = lock

    def _close(self) -> None:
        files, self._files = self._files, {}
        for file in files.values():
            try:
                file.close(sync=self._settings.fsync is not Fsync.NEVER)
            except OSError as exc:
                logger.warning("%s was not closed cleanly: %s", file.path, exc.strerror)
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()


class _LinesFile:
    """One open file that ends with a whole line, whatever happened to the process before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began_at = began_at(path)
        self._file = path.open("ab", buffering=0)
        try:
            self.size = repair(path)
        except OSError:
            self._file.close()
            raise
        self._unsynced = False

    def append(self, block: bytes) -> None:
        """All of it or, raising OSError, nothing."""
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            os.ftruncate(self._file.fileno(), self.size)
            raise
        self.size += len(block)
        self._unsynced = True

    def sync(self) -> None:
        if self._unsynced:
            os.fsync(self._file.fileno())
            self._unsynced = False

    def close(self, *, sync: bool) -> None:
        with self._file:
            if sync:
                self.sync()


def _fates(messages: Sequence[Outgoing], stored: Counter[str], left: Sent) -> list[Sent]:
    """Of each topic the first so many are stored."""
    seen: Counter[str] = Counter()
    fates = []
    for message in messages:
        seen[message.topic] += 1
        fates.append(STORED if seen[message.topic] <= stored[message.topic] else left)
    return fates


def files_of(folder: Path, topic: str) -> list[Path]:
    """The topic's files, oldest first."""
    return sorted(path for path in folder.glob(f"{topic}-*.jsonl") if began_at(path))


def began_at(path: Path) -> float:
    """Unix seconds of a file's first message, by its name; 0 where the name is not ours."""
    stamp = re.fullmatch(r"[a-z]+-(\d{8}T\d{6}\.\d{6}Z)\.jsonl", path.name)
    if stamp is None:
        return 0.0
    try:
        return datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def repair(path: Path) -> int:
    """Cut off a last line that was not written whole; the file's bytes then."""
    with path.open("r+b") as file:
        size = start = file.seek(0, os.SEEK_END)
        whole = 0
        while start > 0 and not whole:
            end, start = start, max(0, start - _BLOCK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            whole = start + newline + 1 if newline >= 0 else 0
        if whole < size:
            file.truncate(whole)
            logger.warning("%s ended in half a line: its %d bytes are cut, they come again", path, size - whole)
    return whole


def one_line(data: bytes) -> bytes:
    """The message as one line, whatever its layout was."""
    return data.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
