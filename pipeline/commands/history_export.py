"""`rayline history export`: judged parts as a table, or as pictures to train on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.common import out
from stages.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from pipeline.config import RaylineConfig
    from pipeline.history.database import Database
    from pipeline.history.gallery import PartFilter

STDOUT = Path("-")
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]


class Form(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"
    YOLO = "yolo"


Time = typer.Option(formats=_TIMES, metavar="TIME", help="Without a zone: the plant's.")


def export(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file; its `history` is asked.")],
    form: Annotated[Form, typer.Option("--format", help="A table, or with yolo a data set of the reviewed parts.")],
    to: Annotated[Path, typer.Option("--out", help="File, or with yolo a folder. `-`: a table on standard output.")],
    line: Annotated[list[str] | None, typer.Option(help="Of this line only; may be given often.")] = None,
    verdict: Annotated[list[Verdict] | None, typer.Option(help="Of this verdict only; may be given often.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="With this defect only; may be given often.")] = None,
    camera: Annotated[str | None, typer.Option(help="Of this camera only.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Judged by this recipe only.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME:VERSION", help="Seen by this model only.")] = None,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="Only what somebody reviewed.")] = False,
    since: Annotated[datetime | None, Time] = None,
    until: Annotated[datetime | None, Time] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many parts, the newest.")] = 1_000_000,
) -> None:
    """Write judged parts as CSV or Parquet, or reviewed parts as a YOLO data set. docs/reviews.md tells the columns."""
    from pipeline.config import load_config
    from pipeline.history.gallery import PartFilter
    from pipeline.history.opening import open_existing

    loaded = load_config(config)
    settings = loaded.history_settings()
    if settings is None:
        raise typer.BadParameter("has no `history:`", param_hint="CONFIG")
    if to == STDOUT and form is not Form.CSV:
        raise typer.BadParameter("standard output takes csv alone", param_hint="--out")
    wanted = PartFilter(
        lines=frozenset(line) if line else None,
        verdicts=tuple(each.value for each in verdict or ()),
        labels=tuple(label or ()),
        model=model,
        recipe=recipe,
        camera=camera,
        reviewed=True if reviewed else None,
        since_ms=_unix_ms(since, loaded.plant.zone),
        until_ms=_unix_ms(until, loaded.plant.zone),
    )
    database = open_existing(settings)
    try:
        _write(database, loaded, wanted, form, to, limit)
    finally:
        database.close()


def _write(database: Database, config: RaylineConfig, wanted: PartFilter, form: Form, to: Path, limit: int) -> None:
    if form is Form.YOLO:
        from pipeline.history.labelled import SKIPPED_FILE, write_labelled
        from pipeline.history.snapshots import PartPictures

        done = write_labelled(database, wanted, PartPictures(config.snapshots), to, limit)
        out.print(f"{done.written} pictures, classes: {', '.join(done.classes) or 'none'}", markup=False)
        if done.skipped:
            out.print(f"{done.skipped} reviewed parts are not in it: {to / SKIPPED_FILE} tells why", markup=False)
        return
    from pipeline.history.export import as_csv, as_parquet, written

    pieces = written(as_csv if form is Form.CSV else as_parquet, database, wanted, limit)
    if to == STDOUT:
        sys.stdout.buffer.writelines(pieces)
    else:
        _into_file(pieces, to)


def _into_file(pieces: Iterator[bytes], to: Path) -> None:
    """Whole or not at all. Raises typer.BadParameter where it cannot be written."""
    unfinished = to.with_name(f"{to.name}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(pieces)
        unfinished.replace(to)
    except OSError as exc:
        raise typer.BadParameter(f"{to}: {exc.strerror or type(exc).__name__}", param_hint="--out") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _unix_ms(at: datetime | None, zone: ZoneInfo) -> int | None:
    if at is None:
        return None
    at = at.replace(tzinfo=at.tzinfo or zone)
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
