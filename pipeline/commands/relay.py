"""`rayline relay` runs a config file's relays without Ray; `rayline relays` shows and ends their hold on Redis."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from pipeline.commands.common import JsonOption, RedisOption, out, redis_settings, run

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.relays.settings import RelaySettings
    from pipeline.sinks.reader_floors import Registered
    from pipeline.sinks.redis_client import RedisSettings

STOP_TIMEOUT_S = 8.0

app = typer.Typer(help="Show which relays hold streams in Redis, and forget one that is gone.", no_args_is_help=True)


def relay(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config file with `relays:`.")],
    name: Annotated[list[str] | None, typer.Option("--name", help="Only this relay; may be given again.")] = None,
    redis: RedisOption = None,
) -> None:
    """Run the relays of a config file here, without Ray, until Ctrl-C; each relay is to run once."""
    from pipeline.config import load_config
    from pipeline.observe.logs import set_up_logs

    loaded = load_config(config)
    chosen = _chosen(loaded, name)
    set_up_logs(loaded.observe)
    settings = redis_settings(redis) if redis or loaded.redis.embedded else loaded.redis_settings()
    run(_relay(loaded, chosen, settings))


@app.command("list")
def list_relays(as_json: JsonOption = False, redis: RedisOption = None) -> None:
    """Every consumer group whose unread entries are kept, and how far it is."""
    found = run(_registered(redis))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    if not found:
        out.print("no relay is registered: streams are trimmed at their maxlen")
        return
    table = Table("group", "line", "streams", "done with all up to", box=None, padding=(0, 2, 0, 0))
    for one in found:
        table.add_row(one.group, one.line, "\n".join(one.streams), one.oldest)
    out.print(table)


@app.command("forget")
def forget(
    name: Annotated[str, typer.Argument(help="Of the relay, or of any group that `list` shows.")],
    redis: RedisOption = None,
) -> None:
    """Let go of what a relay holds that is gone for good. If it comes back, it begins with all that is kept."""
    held = run(_forget(name, redis))
    if not held:
        out.print(f"{name} holds nothing: `rayline relays list` shows who does", markup=False)
        raise typer.Exit(1)
    out.print(f"{name} is forgotten: it held streams of {held} line{'' if held == 1 else 's'}", markup=False)


def _chosen(config: RaylineConfig, names: list[str] | None) -> Mapping[str, RelaySettings]:
    from pipeline.names import choices

    if not config.relays:
        raise typer.BadParameter("has no `relays:`", param_hint="CONFIG")
    for name in names or ():
        if name not in config.relays:
            raise typer.BadParameter(
                f"there is no relay {name!r}; there are: {choices(config.relays)}", param_hint="--name"
            )
    return {name: config.relays[name] for name in names or config.relays}


async def _relay(config: RaylineConfig, chosen: Mapping[str, RelaySettings], redis: RedisSettings) -> None:
    from pipeline.observe.metrics import ray_metrics
    from pipeline.relays.running import Relays, RelaysSpec

    told_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    relays = Relays(RelaysSpec(chosen, redis, config.line_ids()), ray_metrics())
    relays.start()
    out.print(f"Relaying {', '.join(chosen)} from {redis.address}; Ctrl-C stops.", markup=False)
    await told_to_stop.wait()
    out.print("Stopping ...")
    await relays.stop(STOP_TIMEOUT_S)
    for status in relays.statuses():
        counts = ", ".join(f"{topic} {messages}" for topic, messages in sorted(status.relayed.items()))
        out.print(f"relay {status.name}: {counts or 'nothing relayed'}", markup=False)


async def _registered(redis: str | None) -> list[Registered]:
    from pipeline.sinks.reader_floors import ReaderFloors

    floors = ReaderFloors(redis_settings(redis))
    try:
        return await floors.registered()
    finally:
        await floors.close()


async def _forget(name: str, redis: str | None) -> int:
    from pipeline.relays.relay import group_of
    from pipeline.sinks.reader_floors import ReaderFloors

    floors = ReaderFloors(redis_settings(redis))
    try:
        return await floors.forget(group_of(name)) or await floors.forget(name)
    finally:
        await floors.close()
