"""`rayline history CONFIG` keeps what is published in SQL, without Ray; its sub-commands do other work on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.commands.common import RedisOption, out, redis_settings
from pipeline.commands.common import run as run_to_its_end

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.sinks.redis_client import RedisSettings


class _RunByDefault(TyperGroup):
    """`rayline history CONFIG` is `rayline history run CONFIG`."""

    by_default = "run"

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = [self.by_default, *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    help="Keep what is published in SQL: `rayline history CONFIG` does it until Ctrl-C.",
)


@app.command("run")
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config file with `history:`.")],
    redis: RedisOption = None,
) -> None:
    """Write inspections, events and the cameras' minutes here, without Ray, until Ctrl-C. `run` may be left out."""
    from pipeline.config import load_config
    from pipeline.observe.logs import set_up_logs

    loaded = load_config(config)
    if loaded.history is None:
        raise typer.BadParameter("has no `history:`", param_hint="CONFIG")
    set_up_logs(loaded.observe)
    settings = redis_settings(redis) if redis or loaded.redis.embedded else loaded.redis_settings()
    run_to_its_end(_run(loaded, settings))


async def _run(config: RaylineConfig, redis: RedisSettings) -> None:
    from pipeline.recording import history_of, keep

    history = history_of(config, redis)
    out.print(f"Keeping what {redis.address} publishes in {history.address}; Ctrl-C stops.", markup=False)
    await keep(history, stopping=lambda: out.print("Stopping ..."))
    done = history.status()
    aside = f", {done.refused} messages set aside" if done.refused else ""
    out.print(f"the history: {done.written} new rows{aside}", markup=False)
