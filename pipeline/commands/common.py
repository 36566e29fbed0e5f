"""What the commands share: the Redis they talk to, how they print, and how they end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pipeline.orchestrate.desired_store import DesiredStore
    from pipeline.orchestrate.line_count import CountStore
    from pipeline.orchestrate.state import StateStore
    from pipeline.sinks.redis_client import RedisSettings

USAGE = 2  # the exit code of a wrong command or configuration

T = TypeVar("T")

_SIZE = re.compile(r"(?P<width>\d{2,5})x(?P<height>\d{2,5})")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

RedisOption = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        envvar="RAYLINE_REDIS_URL",
        show_envvar=True,
        help="Redis of the Rayline meant. Default: that of the one running here, else redis://127.0.0.1:6379/0.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of words.")]


@dataclass(frozen=True, slots=True)
class Stores:
    """What the running system is to do, and what it says it does."""

    desired: DesiredStore
    state: StateStore
    counts: CountStore


def redis_settings(url: str | None) -> RedisSettings:
    """The Redis a command talks to. Raises typer.BadParameter where the address is none."""
    from pydantic import SecretStr, ValidationError

    from pipeline.instance import redis_url
    from pipeline.sinks.redis_client import RedisSettings

    address = redis_url(url)
    try:
        settings = RedisSettings(url=SecretStr(address), retries=1)
    except ValidationError as exc:
        raise typer.BadParameter(exc.errors()[0]["msg"], param_hint="--redis") from None
    if settings.embedded:
        raise typer.BadParameter("`embedded` is for config files; here give its address", param_hint="--redis")
    return settings


@asynccontextmanager
async def stores(url: str | None, wait_s: float = 0.0) -> AsyncIterator[Stores]:
    """All stores on one connection; Redis' errors inside become sentences (SinkUnavailable).

    `wait_s`: what the command itself waits inside, beside Redis.
    """
    from pipeline.orchestrate.desired_store import DesiredStore
    from pipeline.orchestrate.line_count import CountStore
    from pipeline.orchestrate.state import StateStore
    from pipeline.sinks.redis_client import RedisLink

    link = RedisLink(redis_settings(url))
    try:
        async with link.use(wait_s) as client:
            yield Stores(DesiredStore(client), StateStore(client), CountStore(client))
    finally:
        await link.close()


def size(text: str, option: str) -> tuple[int, int]:
    """Width and height of `640x384`. Raises typer.BadParameter naming the option."""
    found = _SIZE.fullmatch(text.lower())
    if found is None:
        raise typer.BadParameter(f"{text!r}: width x height in pixels, such as 1920x1080", param_hint=option)
    return int(found["width"]), int(found["height"])


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what a command awaits."""
    return asyncio.run(work)


def complain(message: str) -> None:
    """A sentence on stderr, credentials masked, never taken for markup."""
    from pipeline.masking import mask

    err.print("[bold red]rayline:[/] ", end="")
    err.print(mask(message), markup=False, soft_wrap=True)


def version_told(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from importlib.metadata import version

        out.print(f"rayline {version('rayline')}")
        raise typer.Exit
