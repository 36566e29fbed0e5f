"""Messages as server-sent events, which a client that comes again goes on with where it was."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from pipeline.control.live.bookmark import MOST_CHARS, bookmark
from pipeline.control.live.places import Places
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.follower import StreamFollower
from pipeline.sinks.group_commands import id_before
from pipeline.sinks.group_reader import EntriesLost
from pipeline.sinks.keys import line_and_stream
from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.sinks.reader import Entry
    from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

BEAT_EVERY_S = 10.0
BOOKMARK_EVERY_S = 0.5  # so much comes again at most
AWAY_S = 30.0  # Redis may be away for so long; then the client is let go, to come again
_COME_AGAIN_MS = 2000
_TRY_AGAIN_S = 1.0
_MOST_ENTRIES = 200  # of one answer, of a stream alone
_MOST_STREAMS, _MOST_OF_EACH = 64, 16  # of one answer, of many
_NOTHING = "0-0"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages. `stream`: the only one there is to read; None where several may be."""

    topic: str
    patterns: Sequence[str]
    stream: str | None = None
    camera: str | None = None  # of a stream that holds those of several, only this one's


async def events(
    listeners: Places, settings: RedisSettings, wanted: Wanted, after: str | Mapping[str, str]
) -> AsyncGenerator[bytes, None]:
    """Blocks to be sent, for as long as Redis is there. Raises ApiError 503 at first where all places are taken.

    Nothing is left out between two connections of which the second brings the first one's last id.
    """
    count = _MOST_OF_EACH if wanted.stream is None else _MOST_ENTRIES
    with listeners.take():
        yield f"retry: {_COME_AGAIN_MS}\n\n".encode()
        async with StreamFollower(settings, wanted.patterns, after, count=count, at_once=_MOST_STREAMS) as follower:
            blocks, beat_at, away_since = _Blocks(wanted), time.monotonic(), None
            while True:
                now = time.monotonic()
                try:
                    told = blocks.of(await follower.read()) + blocks.place(follower.places)
                    away_since = None
                except TooManyStreams as exc:
                    yield _block("end", orjson.dumps({"reason": str(exc)}))
                    return
                except SinkUnavailable as exc:
                    away_since = away_since or now
                    if isinstance(exc, SinkRefused) or now - away_since > AWAY_S:
                        logger.warning("a stream of %s ends: %s", wanted.topic, exc)
                        return
                    told = b": waiting for redis\n\n"
                    await asyncio.sleep(_TRY_AGAIN_S)
                if not told and now - beat_at >= BEAT_EVERY_S:
                    told = b":\n\n"
                if told:
                    beat_at = now
                    yield told


class TooManyStreams(RaylineError):
    """No id could tell where all of them are."""


class _Blocks:
    """What one listener is sent, and what it was told last of its place."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._told: object = None
        self._told_at = -float("inf")

    def of(self, items: Sequence[Entry | EntriesLost]) -> bytes:
        """The blocks of what was read."""
        return b"".join(self._lost(item) if isinstance(item, EntriesLost) else self._entry(item) for item in items)

    def place(self, places: Mapping[str, str] | None) -> bytes:
        """A block that is an id alone, where that is to be told: the listener is behind all that was sent before."""
        if places is None or places == self._told:
            return b""
        stream = self._wanted.stream
        if stream is not None and self._wanted.camera is None and self._told is not None:
            return b""  # every entry brings its own
        if time.monotonic() - self._told_at < BOOKMARK_EVERY_S:
            return b""
        # A stream that is not there yet is to be read from its beginning.
        mark = bookmark(places) if stream is None else places.get(stream, _NOTHING)
        if len(mark) > MOST_CHARS:
            raise TooManyStreams(f"{len(places)} streams are too many to go on with: ask for one line, or one camera")
        self._told, self._told_at = dict(places), time.monotonic()
        return _block(None, None, mark)

    def _lost(self, lost: EntriesLost) -> bytes:
        line, rest = line_and_stream(lost.stream)
        camera = rest.partition(":")[2] or None
        data = {"line": line, "camera": camera, "stream": lost.stream, "from": lost.after, "to": lost.before}
        return _block("lost", orjson.dumps(data), self._id(id_before(lost.before)))

    def _entry(self, entry: Entry) -> bytes:
        try:
            message = orjson.loads(entry.data)
        except orjson.JSONDecodeError as exc:
            data = {"stream": entry.stream, "entry_id": entry.entry_id, "reason": str(exc)}
            return _block("unreadable", orjson.dumps(data), self._id(entry.entry_id))
        fields = message if isinstance(message, dict) else {}
        if self._wanted.camera not in (None, fields.get("camera")):
            return b""
        return _block(_kind(self._wanted.topic, fields), entry.data, self._id(entry.entry_id))

    def _id(self, entry_id: str) -> str | None:
        return None if self._wanted.stream is None else entry_id


def _kind(topic: str, message: Mapping[str, object]) -> str:
    if topic == "inspections" and message.get("kind") == "uninspected":
        return "uninspected"
    return topic.removesuffix("s")


def _block(event: str | None, data: bytes | None, entry_id: str | None = None) -> bytes:
    lines = [] if entry_id is None else [f"id: {entry_id}".encode()]
    if event is not None:
        lines.append(f"event: {event}".encode())
    if data is not None:
        lines += [b"data: " + line for line in data.splitlines()]
    return b"\n".join(lines) + b"\n\n"
