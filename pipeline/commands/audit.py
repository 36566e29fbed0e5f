"""`rayline audit`: who changed what is to run, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.common import JsonOption, RedisOption, err, out, redis_settings, run

if TYPE_CHECKING:
    from pipeline.orchestrate.audit import AuditEntry, Change


def audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
    redis: RedisOption = None,
) -> None:
    """Show who changed what, by command or API, newest first. With --json one change a line."""
    entries = run(_read(redis, limit))
    if as_json:
        for entry in entries:
            typer.echo(entry.model_dump_json())
    elif entries:
        out.print(_table(entries))
    else:
        err.print("nothing was changed yet, or another Redis is meant (--redis)", markup=False)


async def _read(redis: str | None, limit: int) -> list[AuditEntry]:
    from pipeline.orchestrate.audit import AuditLog
    from pipeline.sinks.redis_client import RedisLink

    link = RedisLink(redis_settings(redis))
    try:
        async with link.use() as client:
            entries, _ = await AuditLog(client).read(limit)
            return entries
    finally:
        await link.close()


def _table(entries: list[AuditEntry]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("when", "who", "what", "to", "changes"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        when = datetime.fromtimestamp(entry.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        who = f"{entry.by.name} ({entry.by.kind})"
        changes = ", ".join(f"{name} {_told(change)}" for name, change in entry.changes.items())
        table.add_row(when, *(Text(text) for text in (who, entry.action, entry.target, changes)))
    return table


def _told(change: Change) -> str:
    return f"{_value(change.old)} -> {_value(change.new)}"


def _value(value: Any) -> str:
    return "unset" if value is None else str(value)
