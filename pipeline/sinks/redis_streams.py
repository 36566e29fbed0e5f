"""Publishing to Redis streams, each frame exactly once: a compare-and-set script per camera and batch."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoScriptError, RedisError

from pipeline.sinks.errors import KeyRefused, SinkRefused, SinkUnavailable
from pipeline.sinks.keys import TRACE_SAMPLE, TRACES, camera_keys
from pipeline.sinks.redis_client import RedisLink, RedisSettings, sink_error
from stages.results.messages import message_id_of

__all__ = ["CameraWrite", "ReaderCut", "RedisSettings", "RedisStreams", "Stored", "WriteOutcome", "WriteStatus"]

logger = logging.getLogger(__name__)

MOST_TRACES = 2000  # batches kept, about: some 4 MB

_TRIM, _PUBLISH, _APPEND = (
    resources.files("pipeline.sinks").joinpath(f"{name}.lua").read_bytes() for name in ("trim", "publish", "append")
)
_SCRIPT = _TRIM + _PUBLISH
_APPEND_SCRIPT = _TRIM + _APPEND
_SHA = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()  # EVALSHA names scripts so
CUT_TOLD_EVERY_S = 60.0
_OF_ALL = (AuthenticationError, NoScriptError)  # refusals that say nothing of one camera
_KEEP_CHECKPOINT = b"""
if redis.call('HGET', KEYS[1], 'cursor') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'checkpoint', ARGV[2], 'checkpoint_at', ARGV[1])
end
"""


@dataclass(frozen=True, slots=True)
class CameraWrite:
    """All that one batch has to say of one camera."""

    camera: str
    line: str
    prev: str | None  # cursor the writer built on, Position.encode(); None: it knows of nothing written
    new: str  # cursor after this write, Position.encode()
    detections: Sequence[bytes] = ()
    events: Sequence[bytes] = ()
    inspections: Sequence[bytes] = ()
    checkpoint: bytes | None = None  # None keeps the stored one
    captured_at: float | None = None  # of the frame at `new`, Unix seconds


class WriteStatus(StrEnum):
    """What became of a write."""

    WRITTEN = "WRITTEN"  # all of it, now
    ALREADY = "ALREADY"  # nothing now: an earlier attempt, or another replica, got as far or further
    CONFLICT = "CONFLICT"  # nothing: the writer's state is not built on what is stored; load and start from there
    REFUSED = "REFUSED"  # nothing: Redis refuses this write of this camera, and will again until a person acts
    AWAY = "AWAY"  # nothing: Redis cannot take it now, and will by itself; send it again


@dataclass(frozen=True, slots=True)
class ReaderCut:
    """A stream reached its hard limit and lost entries that a registered group had not read."""

    stream: str
    group: str  # the slowest of them


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What became of a write, and the cursor that is stored now (None too where it was not taken: nobody looked)."""

    status: WriteStatus
    stored: str | None
    error: str | None = None  # why it was not taken
    cut: tuple[ReaderCut, ...] = ()  # what the room for it cost
    lost_tail: int = 0  # live frames before it that Redis had and lost


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a camera stands. A live checkpoint may be older than the cursor: `checkpoint_at` tells."""

    cursor: str | None = None
    checkpoint: bytes | None = None
    checkpoint_at: str | None = None
    captured_at: float | None = None  # of the frame at the cursor, Unix seconds


class RedisStreams:
    """Writes results for many cameras in one round trip; safe to send again after any failure."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._link = RedisLink(settings)
        self._cut_told_at: dict[ReaderCut, float] = {}  # monotonic

    async def open(self) -> None:
        """Connect and load the script. Raises SinkUnavailable; may be called again then."""
        async with self._link.use() as client:
            await client.script_load(_SCRIPT)

    async def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def write(self, writes: Sequence[CameraWrite], traces: Collection[bytes] = ()) -> list[WriteOutcome]:
        """One outcome per write, in order; one camera's REFUSED or AWAY leaves the others' writes as they are.

        `traces` go the same way, and what becomes of them nobody asks.

        Raises SinkUnavailable where the server is away (some, all or none may have landed) or takes none of them now:
        send all of them again.
        """
        if not writes:
            return []
        commands = [_evalsha(write, self._settings) for write in writes]
        async with self._link.use() as client:
            answers = await _pipelined(client, [*commands, *map(_trace, traces)])
            del answers[len(commands) :]
            lost = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if lost:  # a restarted server knows no scripts
                await client.script_load(_SCRIPT)
                for i, answer in zip(lost, await _pipelined(client, [commands[i] for i in lost]), strict=True):
                    answers[i] = answer
        errors = self._errors(answers)
        if len(errors) == len(answers) and not any(isinstance(error, KeyRefused) for error in errors):
            raise errors[0]
        return [self._outcome(answer) for answer in answers]

    async def load(self, camera: str, line: str) -> Stored:
        """Where the camera stands; all None if nothing was ever written. Raises SinkUnavailable, or KeyRefused."""
        ask = ("HMGET", camera_keys(line, camera).cursor, "cursor", "checkpoint", "checkpoint_at", "captured_at")
        async with self._link.use() as client:
            answers = await _pipelined(client, [ask])
        for error in self._errors(answers):
            raise error
        cursor, checkpoint, checkpoint_at, captured_at = answers[0]
        at = float(captured_at) if captured_at else None
        return Stored(_text(cursor), checkpoint, _text(checkpoint_at), at)

    async def append(
        self,
        camera: str,
        line: str,
        events: Sequence[bytes] = (),
        inspections: Sequence[bytes] = (),
        checkpoint: tuple[str, bytes] | None = None,
    ) -> None:
        """Add messages that no frame stands behind, at least once; then a checkpoint, if its cursor is the stored one.

        Raises SinkUnavailable where all is to be sent again, KeyRefused where what is missing will not be taken.
        """
        keys, settings = camera_keys(line, camera), self._settings
        commands: list[tuple[Any, ...]] = []
        streams = []
        if events:
            commands.append(_append(keys.events, keys.readers, settings.maxlen_events, settings, events))
            streams.append(keys.events)
        if inspections:
            commands.append(_append(keys.inspections, keys.readers, settings.maxlen_inspections, settings, inspections))
            streams.append(keys.inspections)
        if checkpoint is not None:
            commands.append(("EVAL", _KEEP_CHECKPOINT, 1, keys.cursor, *checkpoint))
        if not commands:
            return
        async with self._link.use() as client:
            answers = await _pipelined(client, commands)
        self._tell_cuts(ReaderCut(*cut) for cut in zip(streams, map(_group_in, answers), strict=False) if cut[1])
        for error in sorted(self._errors(answers), key=lambda error: isinstance(error, KeyRefused)):
            raise error  # what will pass goes first: what it stopped can still be written

    def _tell_cuts(self, cuts: Iterable[ReaderCut]) -> None:
        """Each once a minute: of messages behind no frame no event tells it."""
        for cut in cuts:
            if time.monotonic() - self._cut_told_at.get(cut, -math.inf) >= CUT_TOLD_EVERY_S:
                self._cut_told_at[cut] = time.monotonic()
                logger.error("stream %s is full: entries that %s has not read are deleted", cut.stream, cut.group)

    async def trace_sample_asked(self) -> float | None:
        """The share of batches, 0 to 1, that somebody wants traced; None where nobody does. Raises SinkUnavailable."""
        async with self._link.use() as client:
            asked = await client.get(TRACE_SAMPLE)
        try:
            return None if asked is None else min(1.0, max(0.0, float(asked)))
        except ValueError:  # somebody else's key
            return None

    def _errors(self, answers: Sequence[Any]) -> list[SinkUnavailable]:
        return [self._error(answer) for answer in answers if isinstance(answer, RedisError)]

    def _error(self, answer: RedisError) -> SinkUnavailable:
        """What a refusal of one command means; errors of the connection are raised before anything is answered."""
        error = sink_error(self._settings, answer)
        if isinstance(error, SinkRefused) and not isinstance(answer, _OF_ALL):
            return KeyRefused(str(error))
        return error

    def _outcome(self, answer: Any) -> WriteOutcome:
        if isinstance(answer, RedisError):
            error = self._error(answer)
            status = WriteStatus.REFUSED if isinstance(error, KeyRefused) else WriteStatus.AWAY
            return WriteOutcome(status, None, str(error))
        name, stored, *cut = answer
        pairs = zip(cut[::2], cut[1::2], strict=True)
        told = tuple(ReaderCut(stream.decode(), group.decode()) for stream, group in pairs)
        return WriteOutcome(WriteStatus(name.decode()), _text(stored) or None, cut=told)


async def _pipelined(client: Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return list(await pipe.execute(raise_on_error=False))


def _evalsha(write: CameraWrite, settings: RedisSettings) -> tuple[Any, ...]:
    keys = camera_keys(write.line, write.camera)
    streams = (write.detections, write.events, write.inspections)
    entries = [part for stream in streams for message in stream for part in (message_id_of(message), message)]
    return (
        *("EVALSHA", _SHA, len(keys), *keys),
        *(write.prev or "", write.new),
        *(("0", b"") if write.checkpoint is None else ("1", write.checkpoint)),
        "" if write.captured_at is None else repr(float(write.captured_at)),
        settings.maxlen_hard_factor,
        *(settings.maxlen_detections, settings.maxlen_events, settings.maxlen_inspections),
        *map(len, streams),
        *entries,
    )


def _trace(data: bytes) -> tuple[Any, ...]:
    return ("XADD", TRACES, "MAXLEN", "~", MOST_TRACES, "*", "data", data)


def _append(key: str, readers: str, maxlen: int, settings: RedisSettings, messages: Sequence[bytes]) -> tuple[Any, ...]:
    entries = [part for message in messages for part in (message_id_of(message), message)]
    return ("EVAL", _APPEND_SCRIPT, 2, key, readers, maxlen, maxlen * settings.maxlen_hard_factor, *entries)


def _group_in(answer: Any) -> str:
    """The group that an append cut; empty where it is none."""
    return answer.decode() if isinstance(answer, bytes) else ""


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
