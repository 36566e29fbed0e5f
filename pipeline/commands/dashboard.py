"""`rayline dashboard`: the page in a browser, alone; `rayline up` runs it too where there is `dashboard:`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.common import RedisOption, out, redis_settings


def dashboard(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config file with `dashboard:`.")],
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Listen on this port instead of the file's.")
    ] = None,
    redis: RedisOption = None,
) -> None:
    """Serve the page of a Rayline that runs elsewhere, or beside this one, until Ctrl-C."""
    from pipeline.config import load_config
    from pipeline.dashboard.process import serve
    from pipeline.observe.logs import set_up_logs

    loaded = load_config(config)
    if loaded.dashboard is None:
        raise typer.BadParameter("has no `dashboard:`", param_hint="CONFIG")
    settings = loaded.dashboard if port is None else loaded.dashboard.model_copy(update={"port": port})
    if redis or loaded.redis.embedded:
        loaded = loaded.with_redis(redis_settings(redis).whole_url.get_secret_value())
    set_up_logs(loaded.observe)
    out.print(f"{settings.told}; Ctrl-C stops.", markup=False, soft_wrap=True)
    serve(loaded, settings)
