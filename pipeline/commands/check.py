"""`rayline check`: what is wrong with a config file, and what would be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from pipeline.commands.common import USAGE, JsonOption, err, out

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.config_findings import Finding


def check(
    config: Annotated[Path, typer.Argument(help="The config file.")],
    cluster: Annotated[
        bool, typer.Option("--cluster", help="It is to run on a Ray cluster: do not compare it with this machine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a config file, and what would be right; start nothing."""
    from pipeline.config import config_of
    from pipeline.config_checks import review
    from pipeline.config_errors import ConfigError, line_of
    from pipeline.config_file import read_document
    from pipeline.config_findings import Severity
    from pipeline.config_machine import Machine

    try:
        document = read_document(config)
        loaded = config_of(document)
    except ConfigError as exc:
        if as_json:
            out.print_json(data={"good": False, "problems": [_plain(problem, "error") for problem in exc.problems]})
            raise typer.Exit(USAGE) from None
        raise
    machine = None if cluster else Machine.here()
    found = [
        replace(one, problem=replace(one.problem, line=line_of(one.problem.path, document.lines)))
        for one in review(loaded, machine)
    ]
    bad = any(one.severity is Severity.ERROR for one in found)
    if as_json:
        problems = [_plain(one.problem, one.severity.value) for one in found]
        out.print_json(data={"good": not bad, "problems": problems})
    else:
        tell(found, document.file)
        if not bad:
            out.print(f"[green]{escape(document.file)} is good[/]: {_summary(loaded)}", soft_wrap=True)
    if bad:
        raise typer.Exit(USAGE)


def tell(found: list[Finding], file: str) -> None:
    """Findings on stderr, one a paragraph."""
    for one in found:
        colour = "red" if one.severity.value == "error" else "yellow"
        err.print(f"[bold {colour}]{one.severity.value}[/] ", end="")
        err.print(one.problem.text(file), markup=False, soft_wrap=True)


def _summary(config: RaylineConfig) -> str:
    lines = {camera.line for camera in config.resolved().values()}
    models = config.models_in_use()
    shards = config.shard_count()
    cpus = config.cpus_needed()
    counts = ((len(config.cameras), "camera"), (len(lines), "line"), (len(models), "model"), (shards, "shard"))
    told = ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in counts)
    return f"{told}; asks Ray for {cpus:g} cores"


def _plain(problem: Any, severity: str) -> dict[str, Any]:
    from pipeline.config_errors import dotted
    from pipeline.masking import mask

    return {
        "severity": severity,
        "line": problem.line,
        "path": dotted(problem.path),
        "message": mask(problem.message),
        "hint": problem.hint,
    }
