"""`rayline lines`: change a line over to another recipe while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.common import RedisOption, Stores, complain, run, stores

if TYPE_CHECKING:
    from pipeline.orchestrate.audit import Author
    from pipeline.orchestrate.changeover import CameraChangeover, Changeover
    from pipeline.orchestrate.desired import DesiredState

app = typer.Typer(no_args_is_help=True, help="Change lines over to other recipes while they run.")

LOOK_EVERY_S = 0.3

LineArgument = Annotated[str, typer.Argument(metavar="LINE", help="The line's name.")]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, max=3600, help="Seconds to wait until every camera works by it. 0: none.")
]

Change = Callable[[Stores, "Author"], Awaitable["DesiredState"]]


@app.command()
def recipe(
    line: LineArgument,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe of the model that the line runs.")],
    wait: WaitOption = 30.0,
    redis: RedisOption = None,
) -> None:
    """Change a line's recipe: each camera changes in a gap between parts, no part is lost. 1 if one has not by then."""
    run(_change(line, lambda here, by: here.desired.set_recipe(line, recipe, by=by), wait, redis))


@app.command()
def reset(line: LineArgument, wait: WaitOption = 30.0, redis: RedisOption = None) -> None:
    """Change a line back to the config file's recipe."""
    run(_change(line, lambda here, by: here.desired.reset_recipe(line, by=by), wait, redis))


async def _change(line: str, change: Change, wait_s: float, redis: str | None) -> None:
    from pipeline.orchestrate.audit import Author
    from pipeline.orchestrate.changeover import changeover_of

    async with stores(redis, wait_s) as here:
        desired = await change(here, Author.of_this_user("cli"))
        report = await here.state.read(desired.cameras_on(line))
        told = changeover_of(desired, report, line)
        typer.echo(_asked(told))
        if report is None:
            typer.echo("nothing runs now, it holds from the next start")
            return
        told = await _followed(here, desired, told, wait_s)
    late = [camera for camera in told.cameras if camera.state == "pending"]
    for camera in late if wait_s else ():
        complain(f"{camera.camera}: not yet: {camera.reason}")
    if (wait_s and late) or told.state == "refused":
        raise typer.Exit(1)


async def _followed(here: Stores, desired: DesiredState, told: Changeover, wait_s: float) -> Changeover:
    """How it stands when every camera has changed, or time is up; each camera is told when it has."""
    from pipeline.orchestrate.changeover import changeover_of

    said: set[str] = set()
    until = time.monotonic() + wait_s
    while True:
        for camera in told.cameras:
            if camera.state != "pending" and camera.camera not in said:
                said.add(camera.camera)
                _tell(camera)
        if told.state != "pending" or time.monotonic() >= until:
            return told
        await asyncio.sleep(LOOK_EVERY_S)
        told = changeover_of(desired, await here.state.read(desired.cameras_on(told.line)), told.line)


def _asked(told: Changeover) -> str:
    if not told.change_id:
        return f"line {told.line} runs by {told.to}, as the config file says"
    return f"line {told.line}: from {told.before} to {told.to} (change {told.change_id})"


def _tell(camera: CameraChangeover) -> None:
    if camera.state == "refused":
        complain(f"{camera.camera}: stays with {camera.recipe}: {camera.reason}")
    elif camera.state == "own":
        typer.echo(f"{camera.camera}: keeps its own recipe, {camera.recipe}")
    elif camera.state == "away":
        typer.echo(f"{camera.camera}: {camera.reason}")
    else:
        typer.echo(f"{camera.camera}: works by {camera.recipe}")
