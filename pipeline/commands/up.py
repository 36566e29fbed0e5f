"""`rayline up`: run a config file, or a few camera addresses, until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.common import USAGE, RedisOption, err, out

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig


def up(
    what: Annotated[
        list[str], typer.Argument(metavar="CONFIG | URL...", help="A config file, or addresses of cameras and videos.")
    ],
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="RAY", help="Join this Ray cluster ('auto': the one here) and start none."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", min=0.1, metavar="SECONDS", help="Stop by itself after so long.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="X.mp4", help="Write an annotated video of the first camera.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="For URLs: YOLO weights. Default: the shipped demo model.")
    ] = None,
    labels: Annotated[str, typer.Option("--labels", metavar="A,B", help="For URLs: keep only these classes.")] = "",
    redis: RedisOption = None,
) -> None:
    """Run a config file, or `rayline up rtsp://user:pw@host/path` with no file at all, until Ctrl-C."""
    from pipeline.config_urls import is_url

    if all(is_url(one) for one in what):
        config = _of_urls(what, weights, labels, redis)
    elif len(what) == 1:
        config = _of_file(Path(what[0]), weights, labels, redis)
    else:
        raise typer.BadParameter("give one config file, or only addresses", param_hint="CONFIG | URL...")
    _refuse_what_cannot_run(config, what[0], on_cluster=address is not None)
    if save is not None:
        _refuse_unwritable(save)
    from pipeline.running import run

    raise typer.Exit(run(config, address=address, duration_s=duration, save=save, console=out))


def _refuse_unwritable(save: Path) -> None:
    if save.is_dir() or not os.access(save if save.exists() else save.absolute().parent, os.W_OK):
        raise typer.BadParameter(
            f"{save} cannot be written: give a file in a folder that is there", param_hint="--save"
        )


def _of_urls(urls: list[str], weights: str | None, labels: str, redis: str | None) -> RaylineConfig:
    from pipeline.config_urls import config_for_urls

    kept = [label.strip() for label in labels.split(",") if label.strip()]
    if weights is None:
        err.print("[yellow]No --weights given: using the shipped demo model, which knows the demo's bottles only.[/]")
    return _beside_others(config_for_urls(urls, weights, kept, redis))


def _beside_others(config: RaylineConfig) -> RaylineConfig:
    """Nobody chose the metrics' port where there is no file: if another Rayline has it, any free one does."""
    from pipeline.local_ray import is_free

    port = config.observe.metrics_port
    if port is None or is_free(port):
        return config
    err.print(f"[yellow]Port {port} is taken: the metrics go to a free one, which Ray picks.[/]")
    return config.model_copy(update={"observe": config.observe.model_copy(update={"metrics_port": None})})


def _of_file(path: Path, weights: str | None, labels: str, redis: str | None) -> RaylineConfig:
    from pipeline.config import load_config

    if weights or labels:
        raise typer.BadParameter("is for URLs; in a config file set `models:`", param_hint="--weights / --labels")
    config = load_config(path)
    return config.with_redis(redis) if redis else config


def _refuse_what_cannot_run(config: RaylineConfig, file: str, *, on_cluster: bool) -> None:
    from pipeline.commands.check import tell
    from pipeline.config_checks import review
    from pipeline.config_findings import Severity
    from pipeline.config_machine import Machine

    found = review(config, None if on_cluster else Machine.here())
    tell(found, file)
    if any(one.severity is Severity.ERROR for one in found):
        raise typer.Exit(USAGE)
