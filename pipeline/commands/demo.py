"""`rayline demo`: a rendered bottle line, streamed, judged, and held against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.common import out


def demo(
    duration: Annotated[
        float | None,
        typer.Option("--duration", min=1, metavar="SECONDS", help="Stop after so long and hold it against the truth."),
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another line: other parts, other defects.")] = 1,
) -> None:
    """Run the demo line until Ctrl-C: cameras, model, verdicts and Redis, all on this machine."""
    from pipeline.demo.run import run_demo

    raise typer.Exit(run_demo(duration, json_path, seed, out))
