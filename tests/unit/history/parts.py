"""Judged parts in a history, as messages tell them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from pipeline.history.database import Database, open_database
from pipeline.history.tables import defects, inspections, metadata
from stages.results.messages import rfc3339

GOLDEN = Path(__file__).parents[2] / "golden" / "inspection-1.2.json"
START_MS = 1_800_000_000_000


@contextmanager
def history(folder: Path) -> Iterator[Database]:
    """An empty one in a SQLite file."""
    database = open_database(f"sqlite+pysqlite:///{folder / 'history.sqlite'}")
    metadata.create_all(database.engine)
    try:
        yield database
    finally:
        database.close()


def document(inspection_id: str, **changes: Any) -> dict[str, Any]:
    """A message of schema v1."""
    message: dict[str, Any] = json.loads(GOLDEN.read_text())
    return message | {"message_id": inspection_id, "inspection_id": inspection_id} | changes


def row(number: int, verdict: str = "reject", **changes: Any) -> dict[str, Any]:
    """The row of the part judged `number` seconds after START_MS."""
    line, camera = changes.pop("line", "l1"), changes.pop("camera", "a")
    at_ms = changes.pop("captured_ms", START_MS + number * 1000)
    labels: Sequence[str] = changes.pop("labels", ["no_cap"] if verdict == "reject" else [])
    snapshot: Mapping[str, str] | None = changes.pop("snapshot", None)
    inspection_id = changes.pop("id", f"{camera}/1/{number}")
    told = document(
        inspection_id,
        line=line,
        camera=camera,
        verdict=verdict,
        captured_at=rfc3339(at_ms / 1000),
        defects=[{"label": label, "score": 0.9, "box": [30.0, 30.0, 60.0, 60.0]} for label in labels],
        snapshot=snapshot,
    ) | changes.pop("message", {})
    return {
        "id": inspection_id,
        "line": line,
        "camera": camera,
        "station": "capper",
        "counts": True,
        "external_id": None,
        "verdict": verdict,
        "captured_ms": at_ms,
        "decided_ms": at_ms + 100,
        "recipe": "small",
        "model": "bottles:3",
        "has_snapshot": snapshot is not None or verdict != "pass",
        "message": json.dumps(told),
    } | changes


def put(database: Database, *rows: Mapping[str, Any]) -> None:
    """Into the history, with their labels."""
    found = [
        {"inspection_id": one["id"], "label": label, "line": one["line"], "captured_ms": one["captured_ms"]}
        for one in rows
        for label in {defect["label"] for defect in json.loads(one["message"])["defects"]}
    ]
    with database.write() as connection:
        connection.execute(insert(inspections), list(rows))
        if found:
            connection.execute(insert(defects), found)
