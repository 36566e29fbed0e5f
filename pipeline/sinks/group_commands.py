"""What the server does for a consumer group, stream by stream, in single atomic steps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from pipeline.sinks.redis_client import RedisLink

_SCRIPT = resources.files("pipeline.sinks").joinpath("group.lua").read_bytes()
_SHA = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()  # EVALSHA names scripts so
_NOTHING_BEHIND = "0-0"
_LARGEST_SEQ = 2**64 - 1


class Place(NamedTuple):
    """How far a group is in a stream, and the id known to follow ("" = none is known)."""

    last: str
    following: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """Entries of one stream the group had not given to anybody before."""

    place: Place
    entries: list[tuple[str, dict[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries the group can no longer be given; it is behind them once `settle` has said so."""

    after: str
    before: str
    mark: str
    ordinal: str


class Held(NamedTuple):
    """An entry that is pending with this consumer; `fields` is None where it was trimmed or deleted."""

    entry_id: str
    tries: int
    fields: dict[bytes, bytes] | None


class GroupCommands:
    """Each call is one round trip for all its streams; all raise SinkUnavailable. None: stream or group is gone."""

    def __init__(self, link: RedisLink, group: str, consumer: str) -> None:
        self._link = link
        self._group = group
        self.consumer = consumer

    async def has_group(self, streams: Sequence[str]) -> list[bool]:
        """Whether the group is known, by stream."""
        async with self._link.use() as client, client.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.xinfo_groups(stream)
            answers = await pipe.execute(raise_on_error=False) if streams else []
            _raise_first([each for each in answers if not _is_gone(each)])
        return [not _is_gone(each) and self._is_among(each) for each in answers]

    async def open(self, starts: Sequence[tuple[str, str, bool]]) -> list[Place | None]:
        """Make the group on each (stream, start, made later) that has none."""
        answers = await self._run([(stream, "open", start, int(later)) for stream, start, later in starts])
        return [None if each is None else Place(each.decode()) for each in answers]

    async def take(self, places: Sequence[tuple[str, Place]], count: int) -> list[Taken | Gap | None]:
        """The next entries of each stream, or the gap that comes before them."""
        calls = [(stream, "take", self.consumer, count, *place) for stream, place in places]
        return [_taken(each) for each in await self._run(calls)]

    async def settle(self, stream: str, gap: Gap) -> bool:
        """Put the group behind the gap. False: another consumer did."""
        (answer,) = await self._run([(stream, "settle", gap.after, gap.mark, gap.ordinal)])
        return bool(answer)

    async def pending(self, places: Mapping[str, str], count: int, idle_ms: int | None) -> list[list[str]]:
        """Ids behind each place that are not acked, oldest first: this consumer's, or anybody's idle so long."""
        whose = None if idle_ms is not None else self.consumer
        async with self._link.use() as client, client.pipeline(transaction=False) as pipe:
            for stream, after in places.items():
                pipe.xpending_range(stream, self._group, f"({after}", "+", count, whose, idle_ms)
            answers = await pipe.execute(raise_on_error=False) if places else []
            _raise_first([each for each in answers if not _is_gone(each)])
        return [[] if _is_gone(each) else [one["message_id"].decode() for one in each] for each in answers]

    async def claim(self, stream: str, ids: Sequence[str], idle_ms: int | None) -> list[Held]:
        """Those of the entries that are this consumer's, or (with `idle_ms`) can be made so; counts a delivery."""
        call = (stream, "claim", self.consumer, "" if idle_ms is None else idle_ms, *ids)
        (answer,) = await self._run([call]) if ids else ([],)
        return [Held(each[0].decode(), each[1], fields_of(each[2]) if len(each) > 2 else None) for each in answer or ()]

    async def keep(self, by_stream: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Make entries of this consumer look fresh, so that nobody claims them."""
        await self._run([(stream, "keep", self.consumer, *ids) for stream, ids in by_stream])

    async def ack(self, by_stream: Sequence[tuple[str, Sequence[str]]]) -> int:
        """How many of them were pending until now."""
        async with self._link.use() as client, client.pipeline(transaction=False) as pipe:
            for stream, ids in by_stream:
                pipe.xack(stream, self._group, *ids)
            return sum(await pipe.execute() if by_stream else [])

    async def release(self, by_stream: Sequence[tuple[str, Sequence[tuple[str, int]]]]) -> None:
        """Let anybody claim (id, deliveries to count for it) at once, where they are still this consumer's."""
        calls = [(stream, "release", self.consumer, *chain.from_iterable(ids)) for stream, ids in by_stream]
        await self._run(calls)

    async def bury(self, stream: str, entry_id: str, dead: str, maxlen: int, fields: Mapping[str, str | bytes]) -> bool:
        """Write it to the dead letters and ack it, together. False: it is not this consumer's, nothing was written."""
        pairs = chain.from_iterable(fields.items())
        (answer,) = await self._run([((stream, dead), "bury", self.consumer, maxlen, entry_id, *pairs)])
        return bool(answer)

    async def leave(self, streams: Sequence[str], idle_ms: int) -> None:
        """Forget this consumer, and those that are away for so long, where nothing is pending with them."""
        await self._run([(stream, "leave", self.consumer, idle_ms) for stream in streams])

    async def _run(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        return await run_script(self._link, [(keys, name, self._group, *rest) for keys, name, *rest in calls])

    def _is_among(self, groups: list[dict[str, Any]]) -> bool:
        return any(each["name"] == self._group.encode() for each in groups)


def whole_id(place: str) -> str:
    """An id in full where only its milliseconds were given; $ stays what it is."""
    return place if place == "$" or "-" in place else f"{place}-0"


def id_before(entry_id: str) -> str:
    """The largest id smaller than this one."""
    ms, seq = map(int, entry_id.split("-"))
    return f"{ms}-{seq - 1}" if seq else f"{ms - 1}-{_LARGEST_SEQ}" if ms else _NOTHING_BEHIND


def id_behind(entry_id: str) -> str:
    """The smallest id larger than this one."""
    ms, seq = map(int, entry_id.split("-"))
    return f"{ms}-{seq + 1}" if seq < _LARGEST_SEQ else f"{ms + 1}-0"


async def run_script(link: RedisLink, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """One answer for each (stream or streams, command, group, ...) of `group.lua`."""
    commands = [_evalsha((keys,) if isinstance(keys, str) else keys, arguments) for keys, *arguments in calls]
    if not commands:
        return []
    async with link.use() as client:
        answers = await _pipelined(client, commands)
        lost = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if lost:  # a restarted server knows no scripts
            await client.script_load(_SCRIPT)
            for i, answer in zip(lost, await _pipelined(client, [commands[i] for i in lost]), strict=True):
                answers[i] = answer
        _raise_first(answers)
    return answers


_GLOB = frozenset("*?[\\")  # what Redis takes for more than itself


async def find_streams(link: RedisLink, pattern: str) -> set[str]:
    """Streams whose name matches now. One that is named whole is looked for without a walk over all keys."""
    async with link.use() as client:
        if not _GLOB & set(pattern):
            return {pattern} if await client.type(pattern) == b"stream" else set()
        return {key.decode() async for key in client.scan_iter(match=pattern, count=1000, _type="stream")}


async def wait_behind(link: RedisLink, ids: Mapping[str, str], block_s: float) -> list[str]:
    """Streams with something behind their id, as soon as there are any; gives nothing to anybody."""
    behind: Any = dict(ids)
    async with link.use(extra_s=block_s) as client:
        answer: Any = await client.xread(behind, count=1, block=max(1, int(block_s * 1000)))
    return [stream.decode() for stream, _ in answer]


def _evalsha(keys: Sequence[str], arguments: Sequence[Any]) -> tuple[Any, ...]:
    return ("EVALSHA", _SHA, len(keys), *keys, *arguments)


async def _pipelined(client: Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return list(await pipe.execute(raise_on_error=False))


def _taken(answer: Any) -> Taken | Gap | None:
    if answer is None:
        return None
    if answer[0] == b"LOST":
        after, before, mark, ordinal = [str(each) if isinstance(each, int) else each.decode() for each in answer[1:]]
        return Gap(after, before or id_behind(mark), mark, ordinal)
    _, last, following, entries = answer
    return Taken(Place(last.decode(), following.decode()), [(each.decode(), fields_of(flat)) for each, flat in entries])


def fields_of(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """An entry's fields out of the flat list scripts answer."""
    return dict(_pairs(flat))


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _is_gone(answer: Any) -> bool:
    """True for the error that says the stream or the group is not there."""
    return isinstance(answer, RedisError) and ("NOGROUP" in str(answer) or "no such key" in str(answer))


def _raise_first(answers: Iterable[Any]) -> None:
    """To be called inside `RedisLink.use`, which makes the error ours."""
    for answer in answers:
        if isinstance(answer, RedisError):
            raise answer
