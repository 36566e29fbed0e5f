"""Who must have read a line's streams before they are trimmed: registered groups, and how far each is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from pipeline.sinks.keys import line_and_stream, readers_key
from pipeline.sinks.redis_client import RedisLink, RedisSettings

_SCRIPT = resources.files("pipeline.sinks").joinpath("floor.lua").read_bytes()
_UNREAD = "0-0"
OF_RUN = "rayline:relays"  # set of the groups that the last `rayline up` configured


@dataclass(frozen=True, slots=True)
class Floor:
    """How far a group is through one stream."""

    stream: str
    group: str
    through: str  # the last entry up to which it is done with all; "0-0": none
    oldest: str  # entry of the stream
    newest: str  # entry it ever had
    behind: int | None  # entries it is not through with; None where the server does not count them

    @property
    def behind_s(self) -> float:
        """Seconds of entries, by their time of publishing, that it is not through with."""
        return max(0.0, (_ms(self.newest) - max(_ms(self.through), _ms(self.oldest))) / 1e3)


@dataclass(frozen=True, slots=True)
class Registered:
    """A group that holds streams of a line."""

    line: str
    group: str
    streams: tuple[str, ...]  # KIND, or KIND:CAMERA
    oldest: str  # the lowest entry up to which it is through with all, of those streams


class ReaderFloors:
    """Registers groups and notes how far they are. All raise SinkUnavailable."""

    def __init__(self, settings: RedisSettings) -> None:
        self._link = RedisLink(settings)

    async def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        await self._link.close()

    async def register(self, lines: Iterable[str], kinds: Sequence[str], group: str) -> None:
        """From now on nothing of these kinds is trimmed that the group has not read; what it has read stays noted."""
        async with self._link.use() as client, client.pipeline(transaction=False) as pipe:
            for line in lines:
                for kind in kinds:
                    pipe.hsetnx(readers_key(line), f"{kind}|{group}", _UNREAD)
            await pipe.execute()

    async def hold_only(self, lines: Iterable[str] | None, kinds: Sequence[str], group: str) -> None:
        """Let go of what the group was once registered for and does not read any more. `lines` None: all."""
        kept = None if lines is None else set(lines)
        async with self._link.use() as client:
            for key, fields in await _fields_of(client, group):
                is_read = kept is None or line_and_stream(key)[0] in kept
                gone = [field for field in fields if not is_read or re.split(r"[:|]", field)[0] not in kinds]
                if gone:
                    await client.hdel(key, *gone)

    async def note(self, streams: Sequence[str], group: str) -> list[Floor]:
        """Note how far the group is in each stream; those it does not read yet are left out."""
        commands = []
        for stream in streams:
            line, name = line_and_stream(stream)
            commands.append(("EVAL", _SCRIPT, 2, stream, readers_key(line), group, f"{name}|{group}"))
        async with self._link.use() as client, client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            answers = await pipe.execute() if commands else []
        return [_floor(stream, group, answer) for stream, answer in zip(streams, answers, strict=True) if answer]

    async def registered(self) -> list[Registered]:
        """Every group that holds streams, by line and name."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        async with self._link.use() as client:
            for key in await _readers(client):
                line, _ = line_and_stream(key)
                fields: Any = await client.hgetall(key)
                for field, through in fields.items():
                    name, _, group = field.decode().partition("|")
                    found.setdefault((line, group), {})[name] = through.decode()
        return [
            Registered(line, group, tuple(sorted(streams)), _oldest(streams))
            for (line, group), streams in sorted(found.items())
        ]

    async def replace_run(self, groups: Collection[str]) -> list[str]:
        """These are the relays of `rayline up` now; those of the run before that are not among them are forgotten."""
        async with self._link.use() as client:
            before: Any = await client.smembers(OF_RUN)
        gone = sorted({group.decode() for group in before} - set(groups))
        for group in gone:
            await self.forget(group)
        async with self._link.use() as client, client.pipeline(transaction=True) as pipe:
            pipe.delete(OF_RUN)
            if groups:
                pipe.sadd(OF_RUN, *groups)
            await pipe.execute()
        return gone

    async def forget(self, group: str) -> int:
        """The group is gone for good: it holds no stream any more, and its place is lost. How many lines it held.

        Nothing happens to a group that holds none: it is somebody else's.
        """
        async with self._link.use() as client:
            held = await _fields_of(client, group)
            if not held:
                return 0
            await _destroy(client, group)  # first: if that breaks off, the group is still found
            for key, fields in held:
                await client.hdel(key, *fields)
        return len(held)


async def _readers(client: Redis) -> list[str]:
    return sorted([key.decode() async for key in client.scan_iter(match=readers_key("*"), count=1000, _type="hash")])


async def _fields_of(client: Redis, group: str) -> list[tuple[str, list[str]]]:
    """(readers key, the group's fields in it) of every line where it has any."""
    found = []
    for key in await _readers(client):
        fields: Any = await client.hkeys(key)
        its = [name for name in (field.decode() for field in fields) if name.partition("|")[2] == group]
        if its:
            found.append((key, its))
    return found


async def _destroy(client: Redis, group: str) -> None:
    async for key in client.scan_iter(match="rayline:{*}:*", count=1000, _type="stream"):
        try:
            await client.xgroup_destroy(key, group)
        except ResponseError as exc:
            if "requires the key to exist" not in str(exc):  # it went meanwhile
                raise


def _oldest(streams: Mapping[str, str]) -> str:
    """Of the streams themselves; what stands for a whole kind counts where none of it is found."""
    found = {name.partition(":")[0] for name in streams if ":" in name}
    return min((through for name, through in streams.items() if name not in found), key=_order)


def _floor(stream: str, group: str, answer: Any) -> Floor:
    through, oldest, newest, behind = answer
    ids = (through.decode(), oldest.decode(), newest.decode())
    return Floor(stream, group, *ids, None if behind < 0 else behind)


def _ms(entry_id: str) -> int:
    return int(entry_id.split("-")[0])


def _order(entry_id: str) -> tuple[int, int]:
    try:
        ms, seq = map(int, entry_id.split("-"))
    except ValueError:  # not ours: it holds all, as trimming takes it
        return 0, 0
    return ms, seq
