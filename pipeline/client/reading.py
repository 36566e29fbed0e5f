"""`read`: messages after an id, without a group; the reader keeps its place itself."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Mapping

from pydantic import SecretStr

from pipeline.client.messages import Message, UnreadableError, is_of, patterns_of
from pipeline.client.patience import until_there
from pipeline.client.settings import LOCAL, OnLost, checked_place, redis_settings_of, refuse
from pipeline.sinks.follower import StreamFollower
from pipeline.sinks.group_reader import EntriesLost
from pipeline.sinks.reader import Entry
from pipeline.sinks.redis_client import RedisSettings
from stages.results.models import MessageError, parse_message


def read(
    *topics: str,
    after: str | Mapping[str, str] = "0",
    line: str = "*",
    camera: str = "*",
    url: str | SecretStr = LOCAL,
    follow: bool = True,
    on_lost: OnLost | None = None,
) -> AsyncGenerator[Message, None]:
    """Messages after an id, oldest first for each stream; for ever, or with `follow=False` to the end of what is kept.

    `after` is "0" for all that is kept, "$" for what comes from now on, the id of the entry read last, or such by
    stream. Raises EntriesLostError (or calls `on_lost`) where what followed it was trimmed, UnreadableError for an
    entry that is no message, SinkRefused where a person must act, and ValueError for what cannot be meant.
    """
    for place in [after] if isinstance(after, str) else after.values():
        checked_place(place)
    patterns = patterns_of(topics, line, camera)
    return _read(redis_settings_of(url), patterns, after, camera, follow, on_lost or refuse)


async def _read(
    settings: RedisSettings,
    patterns: list[str],
    after: str | Mapping[str, str],
    camera: str,
    follow: bool,
    on_lost: OnLost,
) -> AsyncGenerator[Message, None]:
    async with StreamFollower(settings, patterns, after) as follower:
        while True:
            items = await until_there(lambda: follower.read(wait=follow))
            for item in items:
                if isinstance(item, EntriesLost):
                    answer = on_lost(item)
                    if inspect.isawaitable(answer):
                        await answer
                elif (message := _message(item)) and is_of(message.body, camera):
                    yield message
            if not items and not follow:
                return


def _message(entry: Entry) -> Message:
    try:
        body = parse_message(entry.data)
    except MessageError as exc:
        raise UnreadableError(entry.stream, entry.entry_id, str(exc)) from None
    return Message(body, body.message_id, entry.stream, entry.entry_id, 1, entry.data)
