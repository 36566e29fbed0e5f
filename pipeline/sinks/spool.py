"""A bounded file of results that wait for Redis: SQLite in WAL mode, new behind old, used by one process at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import msgpack

from pipeline.sinks.errors import SinkError
from pipeline.sinks.redis_streams import CameraWrite
from pipeline.sinks.spool_settings import Fsync, SpoolSettings

SCHEMA_VERSION = 2
Owner = tuple[str, str]  # line, camera

_APPLICATION_ID = 0x5261794C  # tells a spool from other people's databases
_ROW_BYTES = 120  # of a row beside its payload, with its part of the indexes
_SHED_AT_ONCE = 32
_EXPIRED_AT_ONCE = 64
_SCHEMA = f"""
BEGIN;
CREATE TABLE entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, line TEXT NOT NULL, camera TEXT NOT NULL,
  cursor TEXT, frames INTEGER NOT NULL, events INTEGER NOT NULL, verdicts INTEGER NOT NULL,
  has_checkpoint INTEGER NOT NULL, size INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX entry_of ON entry (line, camera, id, frames, size);
CREATE INDEX entry_with_frames ON entry (id) WHERE cursor IS NOT NULL;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
# Answered by the index alone: a full file is opened in less than a batch may wait for it.
_BY_CAMERA = "SELECT line, camera, count(*), sum(frames), sum(size) FROM entry GROUP BY line, camera"
# What no new try on the same file will change: it is set aside.
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FORMAT}


class SpoolUnavailable(SinkError):
    """The file cannot take or give anything now: disk full, an I/O error, a folder that may not be written."""


class SpoolFull(SpoolUnavailable):
    """The disk is full; what waits can still be read."""


class SpoolBusy(SpoolUnavailable):
    """Another process has the file."""


class SpoolBroken(SinkError):
    """The file is no spool of this version, or damaged: to be set aside."""


@dataclass(frozen=True, slots=True)
class Loose:
    """Messages that no frame stands behind, and a checkpoint with its cursor, as RedisStreams.append takes them."""

    camera: str
    line: str
    events: Sequence[bytes] = ()
    inspections: Sequence[bytes] = ()
    checkpoint: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits: a camera's write, or loose messages of it, and who that camera is in a message."""

    what: CameraWrite | Loose
    context: Sequence[Any] = ()  # plain values; of whoever appends, and given back as they are

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return self.what.line, self.what.camera

    @property
    def frames(self) -> int:
        """Frames told in it."""
        return len(self.what.detections) if isinstance(self.what, CameraWrite) else 0


@dataclass(frozen=True, slots=True)
class Spooled:
    """An entry in the file. Ids rise."""

    id: int
    at: float  # Unix seconds, when it was appended
    entry: Entry


@dataclass(slots=True)
class Shed:
    """What a camera lost to make room, or to age."""

    frames: int = 0
    events: int = 0
    verdicts: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a camera has in the file."""

    entries: int = 0
    frames: int = 0

    def plus(self, entries: int, frames: int) -> Waiting:
        """So much more, or less."""
        return Waiting(self.entries + entries, self.frames + frames)


@dataclass(frozen=True, slots=True)
class Newest:
    """Where a camera stands by its newest write in the file, and the newest checkpoint there; None where none is."""

    cursor: str
    checkpoint: bytes | None


class Spool:
    """One open file. Every method may raise SpoolUnavailable (nothing was changed) or SpoolBroken.

    `fsync` checkpoint: what was appended survives the death of the process; a power cut costs what came since SQLite's
    last checkpoint, every 4 MB or so, and never the file. always: each append is on the disk when it returns.
    """

    def __init__(self, path: Path, settings: SpoolSettings, is_given_up: Callable[[], bool] = lambda: False) -> None:
        """Open the file, or begin one. Raises SpoolBusy where another process has it.

        `is_given_up` is asked before a change is made for good: True undoes it, for whoever wanted it has been told
        that it failed.
        """
        self.path = path
        self._settings = settings
        self._is_given_up = is_given_up
        self._lock = locked(path)
        self._db: sqlite3.Connection | None = None
        self._waiting: dict[Owner, Waiting] = {}
        try:
            with _told(path):
                self._db = _opened(path)
                rows = self._all(_BY_CAMERA)
                self._bytes: int = sum(row[-1] for row in rows)
                self._waiting = {(row[0], row[1]): Waiting(row[2], row[3]) for row in rows}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; may be called more than once. One in which nothing waits is deleted."""
        if self._db is not None:
            with suppress(sqlite3.Error, OSError):
                if not self._waiting and not self._one("SELECT count(*) FROM entry"):
                    self._db.close()
                    for path in files_of(self.path):
                        path.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is; a damaged one."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """What waits, about as much as it takes on disk."""
        return self._bytes

    def append(self, entries: Sequence[Entry], now: float) -> dict[Owner, Shed]:
        """Put these behind all others, all or none. Answers what had to go for room, oldest first.

        Frames go before verdicts: of an old write its verdicts stay until no frames are left to go.
        """
        rows = [(now, *_row(entry)) for entry in entries]
        needed = sum(row[-2] for row in rows)
        with self._changing(durable=self._settings.fsync is Fsync.ALWAYS) as db:
            shed = self._make_room(needed)
            db.executemany(
                "INSERT INTO entry (at, line, camera, cursor, frames, events, verdicts, has_checkpoint, size, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._bytes += needed
            for entry in entries:
                self._note(entry.owner, 1, entry.frames)
        return shed

    def expire(self, now: float) -> dict[Owner, Shed]:
        """Drop some of what is older than `max_age_s`, oldest first; nothing is left of it when none is answered."""
        begun = now - self._settings.max_age_s
        columns = "SELECT id, line, camera, frames, events, verdicts, size, at FROM entry"
        with _told(self.path):
            oldest = self._all(f"{columns} ORDER BY id LIMIT {_EXPIRED_AT_ONCE}")
        rows = [row for *row, _ in takewhile(lambda row: row[-1] < begun, oldest)]
        shed: dict[Owner, Shed] = {}
        if rows:
            with self._changing(durable=False):
                for row in rows:
                    self._drop(row, shed)
        return shed

    def peek(self, count: int, but_of: Collection[Owner] = ()) -> list[Spooled]:
        """The oldest `count` at most; those of the owners in `but_of` are passed over."""
        skipped = " AND NOT (line = ? AND camera = ?)" * len(but_of)
        names = [name for owner in but_of for name in owner]
        with _told(self.path):
            rows = self._all(
                f"SELECT id, at, line, camera, cursor, payload FROM entry WHERE true{skipped} ORDER BY id LIMIT ?",  # noqa: S608 - no value is in the text
                (*names, count),
            )
            return [Spooled(row[0], row[1], _entry(*row[2:])) for row in rows]

    def remove(self, ids: Sequence[int]) -> None:
        """These are done. On the disk when it returns: what Redis has must not wait here again after a power cut."""
        with self._changing(durable=True) as db:
            marks = ",".join("?" * len(ids))
            rows = self._all(f"SELECT line, camera, frames, size FROM entry WHERE id IN ({marks})", ids)  # noqa: S608
            db.execute(f"DELETE FROM entry WHERE id IN ({marks})", ids)  # noqa: S608
            for line, camera, frames, size in rows:
                self._bytes -= size
                self._note((line, camera), -1, -frames)

    def newest(self, line: str, camera: str) -> Newest | None:
        """Where the camera stands; None where no write of it waits."""
        own = "FROM entry WHERE line = ? AND camera = ? AND cursor IS NOT NULL"
        with _told(self.path):
            cursors = self._all(f"SELECT cursor {own} ORDER BY id DESC LIMIT 1", (line, camera))
            if not cursors:
                return None
            kept = self._all(f"SELECT payload {own} AND has_checkpoint ORDER BY id DESC LIMIT 1", (line, camera))
            checkpoint = _unpacked(kept[0][0])[3] if kept else None
        return Newest(cursors[0][0], checkpoint)

    def waiting(self) -> dict[Owner, Waiting]:
        """What there is, by owner."""
        return dict(self._waiting)

    def oldest_at(self) -> float | None:
        """Unix seconds of the oldest entry; None where nothing waits."""
        with _told(self.path):
            rows = self._all("SELECT at FROM entry ORDER BY id LIMIT 1")
        return rows[0][0] if rows else None

    def _make_room(self, needed: int) -> dict[Owner, Shed]:
        shed: dict[Owner, Shed] = {}
        while self._bytes and self._bytes + needed > self._settings.max_bytes:
            columns = "SELECT id, line, camera, frames, events, verdicts, size, payload FROM entry"
            rows = self._all(f"{columns} WHERE cursor IS NOT NULL ORDER BY id LIMIT {_SHED_AT_ONCE}")
            rows = rows or self._all(f"{columns} ORDER BY id LIMIT {_SHED_AT_ONCE}")
            for *row, payload in rows:
                if self._bytes + needed <= self._settings.max_bytes:
                    break
                _, _, _, frames, _, verdicts, _ = row
                if frames and verdicts:
                    self._keep_verdicts(row, payload, shed)
                else:
                    self._drop(row, shed)
        return shed

    def _drop(self, row: Sequence[Any], shed: dict[Owner, Shed]) -> None:
        id_, line, camera, frames, events, verdicts, size = row
        self._execute("DELETE FROM entry WHERE id = ?", (id_,))
        self._bytes -= size
        self._note((line, camera), -1, -frames)
        its = shed.setdefault((line, camera), Shed())
        its.frames += frames
        its.events += events
        its.verdicts += verdicts

    def _keep_verdicts(self, row: Sequence[Any], payload: bytes, shed: dict[Owner, Shed]) -> None:
        id_, line, camera, frames, events, _, size = row
        old = _entry(line, camera, "", payload)
        *_, new_size, left = _row(replace(old, what=Loose(camera, line, inspections=old.what.inspections)))
        self._execute(
            "UPDATE entry SET cursor = NULL, frames = 0, events = 0, has_checkpoint = 0, size = ?, payload = ?"
            " WHERE id = ?",
            (new_size, left, id_),
        )
        self._bytes += new_size - size
        self._note((line, camera), 0, -frames)
        its = shed.setdefault((line, camera), Shed())
        its.frames += frames
        its.events += events

    @contextmanager
    def _changing(self, durable: bool) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        before = self._bytes, dict(self._waiting)
        with _told(self.path):
            db = self._open
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self._commit(db)
            except BaseException:
                self._bytes, self._waiting = before
                with suppress(sqlite3.Error):  # a full disk has rolled back by itself
                    db.execute("ROLLBACK")
                raise

    def _commit(self, db: sqlite3.Connection) -> None:
        if self._is_given_up():
            raise SpoolUnavailable(f"spool {self.path}: nobody waits for this change any more")
        db.execute("COMMIT")

    def _note(self, owner: Owner, entries: int, frames: int) -> None:
        now = self._waiting.pop(owner, Waiting()).plus(entries, frames)
        if now.entries > 0:
            self._waiting[owner] = now

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise SpoolUnavailable(f"spool {self.path} is closed")
        return self._db

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._open.execute(statement, values)

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._execute(statement, values).fetchall()

    def _one(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self._execute(statement, values).fetchone()[0]


def files_of(path: Path) -> tuple[Path, ...]:
    """All that SQLite may keep beside a database, and the database."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal", ""))


def locked(path: Path) -> int:
    """A descriptor that holds the file's lock until it is closed, or the process dies. Raises SpoolBusy."""
    # Not on the database itself: SQLite locks that, and loses its locks when anybody here closes the file.
    path = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise SpoolUnavailable(f"spool {path}: {exc.strerror or exc}") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolBusy(f"spool {path}: another process has it") from None
    except OSError as exc:
        os.close(descriptor)
        raise SpoolUnavailable(f"spool {path}: {exc.strerror or exc}") from exc
    return descriptor


def _opened(path: Path) -> sqlite3.Connection:
    is_new = not path.exists() or path.stat().st_size == 0
    # Threads take turns, each call behind the one before.
    db = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory: works on network disks too
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA journal_size_limit = 4000000")
        if is_new:
            path.chmod(0o600)
            db.executescript(_SCHEMA)
        _check(path, db)
    except BaseException:
        db.close()
        raise
    return db


def _check(path: Path, db: sqlite3.Connection) -> None:
    """It is ours, of this version, and may be written."""
    marks = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if marks != [_APPLICATION_ID, SCHEMA_VERSION]:
        raise SpoolBroken(f"spool {path}: not a spool of version {SCHEMA_VERSION} (it says {marks[1]})")
    db.execute("BEGIN IMMEDIATE")
    db.execute("ROLLBACK")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors, and those of what it holds, in our words."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        kind = SpoolBroken if code in _BROKEN or _is_foreign(exc) else SpoolUnavailable
        raise (SpoolFull if code == sqlite3.SQLITE_FULL else kind)(f"spool {path}: {exc}") from exc
    except (zlib.error, ValueError, TypeError, IndexError, KeyError) as exc:
        raise SpoolBroken(f"spool {path}: an entry cannot be read: {exc}") from exc
    except OSError as exc:
        raise SpoolUnavailable(f"spool {path}: {exc.strerror or exc}") from exc


def _is_foreign(exc: sqlite3.Error) -> bool:
    return isinstance(exc, sqlite3.OperationalError) and str(exc).startswith(("no such table", "no such column"))


def _row(entry: Entry) -> tuple[Any, ...]:
    """line, camera, cursor, frames, events, verdicts, has_checkpoint, size, payload."""
    what = entry.what
    write = what if isinstance(what, CameraWrite) else None
    detections = [] if write is None else list(write.detections)
    prev, cursor = (None, None) if write is None else (write.prev, write.new)
    content = [detections, list(what.events), list(what.inspections), what.checkpoint, prev, list(entry.context)]
    payload = zlib.compress(msgpack.packb(content), 1)  # a fifth, for some 0.1 ms
    has_checkpoint = write is not None and write.checkpoint is not None
    size = len(payload) + _ROW_BYTES
    counts = len(detections), len(what.events), len(what.inspections)
    return what.line, what.camera, cursor, *counts, has_checkpoint, size, payload


def _unpacked(payload: bytes) -> list[Any]:
    content: list[Any] = msgpack.unpackb(zlib.decompress(payload))
    return content


def _entry(line: str, camera: str, cursor: str | None, payload: bytes) -> Entry:
    detections, events, inspections, checkpoint, prev, context = _unpacked(payload)
    if cursor is None:
        tail = None if checkpoint is None else (str(checkpoint[0]), bytes(checkpoint[1]))
        return Entry(Loose(camera, line, events, inspections, tail), context)
    return Entry(CameraWrite(camera, line, prev, cursor, detections, events, inspections, checkpoint), context)
