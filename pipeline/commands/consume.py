"""`rayline consume`: follow what comes out, for people or for programs."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipeline.commands.common import JsonOption, RedisOption, complain, redis_settings, run

if TYPE_CHECKING:
    from pipeline.sinks.group_reader import EntriesLost
    from pipeline.sinks.reader import Entry

_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?P<number>\d+)(?P<unit>[smhd])")
_ENTRY_ID = re.compile(r"\d+(-\d+)?")


class Stream(StrEnum):
    """What can be followed."""

    DETECTIONS = "detections"
    EVENTS = "events"
    INSPECTIONS = "inspections"


def consume(
    stream: Annotated[Stream, typer.Argument(help="Which stream.")] = Stream.DETECTIONS,
    camera: Annotated[str, typer.Option(help="Only this camera.")] = "*",
    line: Annotated[str, typer.Option(help="Only this line.")] = "*",
    since: Annotated[
        str,
        typer.Option("--from", metavar="now|start|10m|ID", help="Where to begin: now, all kept, so long ago, an id."),
    ] = "now",
    count: Annotated[int | None, typer.Option(min=1, help="Leave after so many.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Leave after so long; 1 if fewer than --count came.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Read as one of a group: each message to one of its readers, and once printed to none again. "
            "--from is for the first time.",
        ),
    ] = None,
    as_json: JsonOption = False,
    redis: RedisOption = None,
) -> None:
    """Print messages as they come; --json gives each as published, one a line."""
    wanted = count or (1 if timeout is not None else 0)
    from_id = _from_id(since)
    if group is None:
        work = _consume(stream, camera, line, from_id, count, timeout, as_json, redis)
    else:
        work = _consume_as(group, stream, camera, line, from_id, count, timeout, as_json, redis)
    got = run(work)
    if got < wanted:
        raise typer.Exit(1)


async def _consume(
    stream: Stream,
    camera: str,
    line: str,
    from_id: str,
    count: int | None,
    timeout_s: float | None,
    as_json: bool,
    redis: str | None,
) -> int:
    from pipeline.sinks.keys import stream_pattern
    from pipeline.sinks.reader import StreamReader

    got = 0
    async with StreamReader(redis_settings(redis)) as reader:
        pattern = stream_pattern(stream.value, line, camera)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                async with aclosing(cast("AsyncGenerator[Entry, None]", reader.tail([pattern], from_id))) as entries:
                    async for entry in _of_camera(entries, camera):
                        _print(entry.data, as_json)
                        got += 1
                        if got == count:
                            break
    return got


async def _consume_as(
    group: str,
    stream: Stream,
    camera: str,
    line: str,
    from_id: str,
    count: int | None,
    timeout_s: float | None,
    as_json: bool,
    redis: str | None,
) -> int:
    from pipeline.client import subscribe

    url = redis_settings(redis).url.get_secret_value()
    try:
        subscription = subscribe(
            stream.value, group=group, url=url, line=line, camera=camera, start=from_id, on_lost=_tell_lost
        )
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from None
    got = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s), subscription as messages:
            async for message in messages:
                _print(message.data, as_json)
                got += 1
                if got == count:
                    await messages.ack(message)
                    break
    return got


def _tell_lost(lost: EntriesLost) -> None:
    complain(f"{lost.stream}: entries after {lost.after} and before {lost.before} were trimmed unread")


def _print(data: bytes, as_json: bool) -> None:
    from pipeline.commands.lines import line_of

    sys.stdout.write((data.decode() if as_json else line_of(data)) + "\n")
    sys.stdout.flush()


async def _of_camera(entries: AsyncIterator[Entry], camera: str) -> AsyncIterator[Entry]:
    """Those of one camera; a line's inspections stand in one stream."""
    import orjson

    async for entry in entries:
        if camera == "*" or orjson.loads(entry.data).get("camera") == camera:
            yield entry


def _from_id(since: str, now: float | None = None) -> str:
    """Redis' id for it: `$`, `0`, milliseconds since 1970, or an entry id as given."""
    if since in ("now", "start"):
        return "$" if since == "now" else "0-0"
    if found := _SPAN.fullmatch(since):
        ago_s = int(found["number"]) * _SPANS[found["unit"]]
        return f"{max(0, int(((now or time.time()) - ago_s) * 1000))}-0"
    if _ENTRY_ID.fullmatch(since):
        return since
    raise typer.BadParameter(
        f"{since!r}: now, start, a time such as 30s, 10m, 2h, 1d, or an entry id", param_hint="--from"
    )
