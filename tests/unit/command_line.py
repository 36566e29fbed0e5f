"""Command lines as people read them, parsed by the real command and never run."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import typer.main

from pipeline.cli import app

# The last `rayline` that is followed by words: `docker compose exec rayline rayline status` names a service before it.
_COMMAND = re.compile(r"(?:^|.*[\s/])rayline +(?P<arguments>[a-z-].*)")


def rayline_arguments(line: str) -> list[str] | None:
    """The arguments of a `rayline ...` in the line; None where there is none."""
    found = _COMMAND.fullmatch(line.strip())
    return shlex.split(found["arguments"], comments=True) if found else None


@cache
def _command() -> Any:
    """Put together once: each time anew it takes longer than all that is parsed with it."""
    return typer.main.get_command(app)


def parse(arguments: list[str], *, may_lack: bool = False) -> None:
    """Raises what the command would complain of. `may_lack`: arguments may be left out, as in a sentence."""
    command = _command()
    path, rest = "rayline", list(arguments)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if rest[0] not in command.commands and (by_default := getattr(command, "by_default", None)):
            rest.insert(0, by_default)
        name = rest.pop(0)
        path = f"{path} {name}"
        if name not in command.commands:
            raise ValueError(f"there is no `{path}`")
        command = command.commands[name]
    if hasattr(command, "commands") and not rest:
        return  # a group on its own shows its help
    try:
        command.make_context(path, rest)
    except Exception as exc:
        # By name: Typer has click inside, at a place that is its own business.
        if not (may_lack and type(exc).__name__ == "MissingParameter"):
            raise
