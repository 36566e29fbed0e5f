"""`rayline cameras`: add, change, pause and remove cameras while all runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.common import JsonOption, RedisOption, Stores, out, run, stores

if TYPE_CHECKING:
    from pipeline.orchestrate.audit import Author
    from pipeline.orchestrate.desired import DesiredState

app = typer.Typer(no_args_is_help=True, help="Add, change, pause and remove cameras while all runs.")

CameraArgument = Annotated[str, typer.Argument(metavar="CAMERA", help="The camera's name.")]
SettingsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings as in the config file: fps=10 transport=udp"),
]


@app.command("list")
def list_cameras(as_json: JsonOption = False, redis: RedisOption = None) -> None:
    """Show which cameras are to run, and in what they differ from the config file."""
    import json

    from rich.table import Table

    desired = run(_read(redis))
    rows = _rows(desired)
    if as_json:
        typer.echo(json.dumps({"version": desired.version, "cameras": rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("camera", "line", "station", "recipe", "address", "differs"):
        table.add_column(name, overflow="fold")
    for row in rows:
        told = row["problem"] or row["override"] or ""
        table.add_row(row["camera"], row["line"], row["station"], row["recipe"], row["url"], told)
    out.print(table)


@app.command()
def add(
    camera: CameraArgument,
    url: Annotated[str, typer.Argument(help="rtsp://..., http://..., file:..., v4l2:...")],
    settings: SettingsArgument = None,
    line: Annotated[str | None, typer.Option(help="Its line. Default: a line of its own.")] = None,
    station: Annotated[str | None, typer.Option(help="Where on the line it stands. Default: its name.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Its recipe. Default: the line's.")] = None,
    redis: RedisOption = None,
) -> None:
    """Start reading another camera. Its address is kept in Redis as given, password included."""
    given = {"url": url, "line": line, "station": station, "recipe": recipe}
    data = {**_parsed(settings), **{key: value for key, value in given.items() if value is not None}}
    _change(redis, lambda here, by: here.desired.add(camera, data, by=by), f"camera {camera} is added")


@app.command("set")
def set_settings(camera: CameraArgument, settings: SettingsArgument = None, redis: RedisOption = None) -> None:
    """Change a camera's settings: `rayline cameras set cam-1 fps=10`."""
    changes = _parsed(settings)
    if not changes:
        raise typer.BadParameter("give at least one KEY=VALUE", param_hint="KEY=VALUE")
    _change(redis, lambda here, by: here.desired.set(camera, changes, by=by), f"camera {camera} is changed")


@app.command()
def remove(camera: CameraArgument, redis: RedisOption = None) -> None:
    """Stop a camera and forget it; one of the config file stays away until `reset`."""
    _change(redis, lambda here, by: here.desired.remove(camera, by=by), f"camera {camera} is removed")


@app.command()
def pause(camera: CameraArgument, redis: RedisOption = None) -> None:
    """Stop reading a camera and keep its place."""
    _change(redis, lambda here, by: here.desired.pause(camera, by=by), f"camera {camera} is paused")


@app.command()
def resume(camera: CameraArgument, redis: RedisOption = None) -> None:
    """Read a paused camera again."""
    _change(redis, lambda here, by: here.desired.resume(camera, by=by), f"camera {camera} is resumed")


@app.command()
def restart(camera: CameraArgument, redis: RedisOption = None) -> None:
    """Close a camera's connection and open it anew; a file goes on where it was."""
    _change(redis, lambda here, by: here.desired.restart(camera, by=by), f"camera {camera} is opened anew")


@app.command()
def reset(camera: CameraArgument, redis: RedisOption = None) -> None:
    """Drop what was changed: the camera runs as the config file says."""
    _change(redis, lambda here, by: here.desired.reset(camera, by=by), f"camera {camera} runs as the config file says")


async def _read(redis: str | None) -> DesiredState:
    async with stores(redis) as here:
        return await here.desired.read()


def _change(redis: str | None, change: Callable[[Stores, Author], Awaitable[DesiredState]], done: str) -> None:
    from pipeline.orchestrate.audit import Author

    async def work() -> tuple[int, bool]:
        async with stores(redis) as here:
            after = await change(here, Author.of_this_user("cli"))
            return after.version, await here.state.read() is not None

    version, runs = run(work())
    typer.echo(f"{done} (version {version})" + ("" if runs else "; nothing runs now, it holds from the next start"))


def _parsed(settings: list[str] | None) -> dict[str, Any]:
    import yaml

    parsed: dict[str, Any] = {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{key!r}: write KEY=VALUE", param_hint="KEY=VALUE")
        try:
            parsed[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed[key] = value
    return parsed


def _rows(desired: DesiredState) -> list[dict[str, Any]]:
    rows = []
    for name in desired.config.camera_ids():
        camera = desired.config.camera(name)
        row = {"line": camera.line, "station": camera.station, "recipe": camera.recipe_name}
        rows.append({"camera": name, **row, "url": str(camera.settings.url), **_differs(desired, name)})
    gone = {*desired.removed(), *desired.problems} - set(desired.config.camera_ids())
    empty = {"line": "", "station": "", "recipe": "", "url": ""}
    rows += [{"camera": name, **empty, **_differs(desired, name)} for name in sorted(gone)]
    return rows


def _differs(desired: DesiredState, name: Any) -> dict[str, str | None]:
    kind = desired.kind(name)
    return {"override": kind.value if kind else None, "problem": desired.problems.get(name)}
