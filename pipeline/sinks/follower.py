"""Reading streams on from an id, without a group: nothing is kept on the server, and what was lost is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pipeline.sinks.group_commands import fields_of, find_streams, id_behind, run_script, wait_behind, whole_id
from pipeline.sinks.group_reader import EntriesLost
from pipeline.sinks.reader import Entry
from pipeline.sinks.redis_client import RedisLink, RedisSettings

_BEGINNING = "0-0"
_ALL_KEPT = ""
_NOW = "$"


@dataclass(frozen=True, slots=True)
class _At:
    """How far a stream is read; `ordinal` counts all entries it ever had up to there, where that is known."""

    last: str
    ordinal: str = ""
    following: str = ""


class StreamFollower:
    """Reads on after an id of each stream; EntriesLost as for a group, and where the id was trimmed away with others.

    `after` is "0" for all that is kept, "$" for what comes from now on, an entry id, or such by stream; streams it does
    not name, and those made later, are read from their beginning. One answer holds at most `count` entries of each of
    `at_once` streams.
    """

    def __init__(
        self,
        settings: RedisSettings,
        patterns: Sequence[str],
        after: str | Mapping[str, str],
        *,
        rescan_s: float = 2.0,
        count: int = 200,
        at_once: int = 10_000,
        block_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = RedisLink(settings)
        self._patterns = tuple(patterns)
        by_stream = {} if isinstance(after, str) else {stream: whole_id(place) for stream, place in after.items()}
        self._after = whole_id(after) if isinstance(after, str) else by_stream
        self._rescan_s = rescan_s
        self._count, self._at_once = count, at_once
        self._block_s = min(block_s, settings.answer_timeout_s / 2)  # redis-py hangs up on a later answer
        self._clock = clock
        self._scan_at = -float("inf")
        self._places: dict[str, _At] | None = None
        self._look_at: list[str] = []  # not waited for: entries may lie there

    async def read(self, *, wait: bool = True) -> list[Entry | EntriesLost]:
        """What comes next; [] if that is nothing, for `block_s` where it waits. Raises SinkUnavailable, SinkRefused."""
        if self._places is None or self._clock() >= self._scan_at:
            self._places = await self._scanned(self._places)
            left = [stream for stream in self._look_at if stream in self._places]  # whose turn it is
            self._look_at = list(dict.fromkeys([*left, *self._places]))
            self._scan_at = self._clock() + self._rescan_s
        if not self._look_at and wait:
            self._look_at = await self._woken(self._places)
        return await self._peek(self._places)

    @property
    def places(self) -> dict[str, str] | None:
        """By stream the id it is read up to: who starts after these misses nothing. None while not all are known."""
        if self._places is None or any(at.last == _NOW for at in self._places.values()):
            return None
        return {stream: at.last for stream, at in self._places.items() if at.last != _ALL_KEPT}

    async def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _scanned(self, known: dict[str, _At] | None) -> dict[str, _At]:
        found = set[str]().union(*[await find_streams(self._link, pattern) for pattern in self._patterns])
        if known is None:
            return {stream: _At(self._first(stream)) for stream in sorted(found)}
        return {stream: known.get(stream) or _At(self._later(stream)) for stream in sorted(found)}

    def _first(self, stream: str) -> str:
        after = self._after if isinstance(self._after, str) else self._after.get(stream, _ALL_KEPT)
        return _ALL_KEPT if after == _BEGINNING else after

    def _later(self, stream: str) -> str:
        after = _BEGINNING if isinstance(self._after, str) else self._after.get(stream, _BEGINNING)
        return _BEGINNING if after == _NOW else after

    async def _woken(self, places: dict[str, _At]) -> list[str]:
        if places:
            return await wait_behind(self._link, {stream: at.last for stream, at in places.items()}, self._block_s)
        await asyncio.sleep(self._block_s)
        return []

    async def _peek(self, places: dict[str, _At]) -> list[Entry | EntriesLost]:
        """What lies behind the places looked at; those that may hold more are looked at again."""
        now, later = self._look_at[: self._at_once], self._look_at[self._at_once :]
        looked = [(stream, places[stream]) for stream in now]
        calls = [(stream, "peek", "", at.last, at.ordinal, at.following, self._count) for stream, at in looked]
        found: list[Entry | EntriesLost] = []
        again: list[str] = []
        for (stream, _), answer in zip(looked, await run_script(self._link, calls), strict=True):
            if answer is None:
                continue  # the stream is gone; it is found again should it come back
            places[stream], items = _read(stream, answer)
            found += items
            if places[stream].following or answer[0] == b"LOST":
                again.append(stream)
        self._look_at = later + again
        return found


def _read(stream: str, answer: list[Any]) -> tuple[_At, list[Entry | EntriesLost]]:
    if answer[0] == b"LOST":
        after, before, mark, ordinal = [_text(each) for each in answer[1:]]
        return _At(mark, ordinal), [EntriesLost(stream, after, before or id_behind(mark))]
    _, last, following, entries, ordinal = answer
    return _At(_text(last), _text(ordinal), _text(following)), [
        Entry(stream, entry_id.decode(), fields.get(b"message_id", b"").decode(), fields.get(b"data", b""))
        for entry_id, fields in ((each[0], fields_of(each[1])) for each in entries)
    ]


def _text(value: bytes | int) -> str:
    return str(value) if isinstance(value, int) else value.decode()
