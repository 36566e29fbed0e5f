"""`rayline doctor`: what this machine has, and what to do about what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeline.commands.common import JsonOption, RedisOption, out, redis_settings, run

if TYPE_CHECKING:
    from pipeline.observe.machine import Check

_MARKS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "missing": "[red]missing[/]"}


def doctor(as_json: JsonOption = False, redis: RedisOption = None) -> None:
    """Look at cores, memory, GPU, codecs, model runtimes and Redis; 1 if something needed is missing."""
    from pipeline.observe.machine import examine, redis_check

    checks = [*examine(), run(redis_check(redis_settings(redis)))]
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            _tell(check)
    if any(check.status == "missing" for check in checks):
        raise typer.Exit(1)


def _tell(check: Check) -> None:
    out.print(f"{_MARKS[check.status]}  {check.name:<13} ", end="")
    out.print(check.found, markup=False, soft_wrap=True)
    if check.advice:
        out.print(" " * 24 + check.advice, markup=False, soft_wrap=True, style="dim")
