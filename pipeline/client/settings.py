"""How a subscriber reads, as settings and as what `subscribe` and `consume` take."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Callable
from typing import TypedDict

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator

from pipeline.client.messages import EntriesLostError
from pipeline.sinks.group_reader import EntriesLost
from pipeline.sinks.keys import is_key_name
from pipeline.sinks.redis_client import RedisSettings
from stages.settings import Settings

_ENTRY_ID = re.compile(r"\d+(-\d+)?")
LOCAL = "redis://127.0.0.1:6379/0"

OnLost = Callable[[EntriesLost], object]  # may be async; what it returns is not looked at


class SubscriberSettings(Settings):
    """How a subscriber reads."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: SecretStr = Field(SecretStr(LOCAL), description="Redis, with user and password where it wants them.")
    group: str = Field(description="Consumers of one group share the messages; each group gets all of them.")
    consumer: str = Field(
        "",
        description="Name of this consumer. One that stays lets a restarted process go on with its own messages at "
        "once, but no two may run under it; empty takes one of its own each time, whose messages others claim.",
    )
    line: str = Field("*", description="Only this line.")
    camera: str = Field("*", description="Only this camera; what others published is passed over for the whole group.")
    start: str = Field(
        "0", description="Where a new group begins: 0 all that is kept, $ what comes now, or an entry id."
    )
    max_tries: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="Deliveries before a message goes to the dead letters. More rides out longer trouble of yours; "
        "fewer gets a message that can never succeed out of the way sooner.",
    )
    retry_delay_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Wait before a handler gets a failed message again, doubled each time up to a minute. Longer "
        "spares what it failed on; shorter is done sooner. For consume.",
    )
    claim_after_s: float = Field(
        30.0,
        ge=0.1,
        le=86_400,
        description="Silence after which a consumer counts as dead. Shorter has its messages done sooner; too short "
        "takes messages of one that only hangs, so that they are done twice.",
    )
    prefetch: int = Field(
        32,
        ge=1,
        le=1000,
        description="Messages fetched ahead for each stream. More saves round trips; fewer leaves more to others.",
    )
    dedupe: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Messages done by this process whose ids it remembers, to pass over repeats. More reaches further "
        "back and takes about 0.2 kB each; 0 remembers none.",
    )
    maxlen_dead: int = Field(
        10_000, ge=1, le=10_000_000, description="Dead letters kept for each line, about. More takes more memory."
    )

    @field_validator("group")
    @classmethod
    def _fits_a_key(cls, group: str) -> str:
        if not is_key_name(group):
            raise ValueError(f"{group!r} cannot be a group name: letters, digits, '_', '.' and '-' only")
        return group

    @field_validator("start")
    @classmethod
    def _is_a_place(cls, start: str) -> str:
        return checked_place(start)

    def named(self) -> str:
        """The consumer's name: the one given, or one nobody else has."""
        return self.consumer or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Options(TypedDict, total=False):
    """What `subscribe` and `consume` take beside topics and group: see SubscriberSettings."""

    url: str
    consumer: str
    line: str
    camera: str
    start: str
    max_tries: int
    retry_delay_s: float
    claim_after_s: float
    prefetch: int
    dedupe: int
    maxlen_dead: int
    on_lost: OnLost | None


def settings_of(group: str, options: Options) -> SubscriberSettings:
    """The settings out of what was passed. Raises ValueError in words."""
    values = {name: value for name, value in options.items() if name != "on_lost"}
    try:
        return SubscriberSettings.model_validate({"group": group, **values})
    except ValidationError as exc:
        raise ValueError(_said(exc)) from None


def redis_settings_of(url: SecretStr | str) -> RedisSettings:
    """How to reach Redis. Raises ValueError in words that do not hold the address."""
    try:
        settings = RedisSettings.model_validate({"url": url})
    except ValidationError as exc:
        raise ValueError(_said(exc)) from None
    if settings.embedded:
        raise ValueError("url: `embedded` is for config files; here give its address")
    return settings


def checked_place(place: str) -> str:
    """0, $ or an entry id. Raises ValueError."""
    if place != "$" and not _ENTRY_ID.fullmatch(place):
        raise ValueError(f"{place!r} is neither 0, $ nor an entry id")
    return place


def refuse(lost: EntriesLost) -> None:
    """What happens to a loss where nobody said `on_lost`."""
    raise EntriesLostError(lost)


def _said(exc: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors())
