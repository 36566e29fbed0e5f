"""A history of a million parts: five lines over 90 days, the first with most of them, all made up inside SQLite."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.history.database import Database, open_database
from pipeline.history.tables import metadata

GOLDEN = Path(__file__).parents[2] / "golden" / "inspection-1.2.json"
PARTS = 1_000_000
DAYS = 90
START_MS = 1_750_204_800_000  # 2025-06-18 00:00 UTC
END_MS = START_MS + DAYS * 86_400_000
BUSIEST = "line-1"
CAMERA = "line-1-cam"
LABELS = ("missing_cap", "dent", "scratch", "label_skew", "underfill")

_PARTS = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {PARTS - 1}),
    drawn AS (
        SELECT n, (n * 2654435761) % 1000003 % 1000 AS h, {START_MS} + n * {DAYS * 86_400} / {PARTS // 1000} AS ms,
            CASE WHEN n % 10 < 6 THEN 1 ELSE n % 10 - 4 END AS line,
            CASE n / 7 % 11 WHEN 0 THEN 4 WHEN 1 THEN 3 WHEN 2 THEN 2 WHEN 3 THEN 2 WHEN 4 THEN 1 ELSE 0 END AS label
        FROM numbers
    ),
    judged AS (
        SELECT *, CASE WHEN h < 20 THEN 'reject' WHEN h < 25 THEN 'indeterminate' ELSE 'pass' END AS verdict,
            'line-' || line AS name, 'recipe-' || (n / 80000 % 3) AS recipe, 'bottles:' || (n / 600000) AS model
        FROM drawn
    )
    INSERT INTO inspections
    SELECT name || '-cam/1/' || n, name, name || '-cam', 'capper', 1,
        CASE WHEN line = 1 THEN 'P' || (n - CASE WHEN n % 97 = 0 THEN 970 ELSE 0 END) END,
        verdict, ms, ms + 150, recipe, model, verdict <> 'pass' OR h % 100 = 0,
        replace(replace(replace(replace(replace(:message,
            '@ID@', name || '-cam/1/' || n), '@AT@', strftime('%Y-%m-%dT%H:%M:%fZ', ms / 1000.0, 'unixepoch')),
            '@VERDICT@', verdict), '@LINE@', name),
            '"@DEFECTS@"', CASE WHEN verdict = 'reject' THEN '{{"label":"' ||
                json_extract(:labels, '$[' || label || ']') || '","score":0.9,"box":[30,30,60,60]}}' ELSE '' END)
    FROM judged
"""
_DEFECTS = """
    INSERT INTO defects
    SELECT id, json_extract(message, '$.defects[0].label'), line, captured_ms FROM inspections WHERE verdict = 'reject'
"""
_PART_MINUTES = """
    INSERT INTO part_minutes
    SELECT line, captured_ms / 60000, camera, recipe, model, counts, verdict, count(*), sum(verdict = 'reject'),
        count(external_id)
    FROM inspections GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_DEFECT_MINUTES = """
    INSERT INTO defect_minutes
    SELECT i.line, i.captured_ms / 60000, camera, recipe, model, counts, label, count(*)
    FROM inspections i JOIN defects d ON d.inspection_id = i.id GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_UNINSPECTED = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 8999)
    INSERT INTO uninspected
    SELECT 'blind/' || n, 'line-' || (n % 5 + 1), 'line-' || (n % 5 + 1) || '-cam', 'capper',
        {START_MS} + n * 864000, {START_MS} + n * 864000 + 60000, 'black', NULL
    FROM numbers
"""
_REVIEWS = """
    INSERT INTO reviews(inspection_id, line, captured_ms, said, reason, labels, "by", at_ms)
    SELECT id, line, captured_ms, CASE WHEN captured_ms % 7 = 0 THEN 'pass' ELSE 'reject' END, '', '[]', 'anna',
        captured_ms + 60000
    FROM inspections WHERE has_snapshot AND captured_ms % 5 = 0
"""


def fill(path: Path) -> Database:
    """The history, in this file."""
    database = open_database(f"sqlite+pysqlite:///{path}")
    indices = [index for table in metadata.tables.values() for index in table.indexes]
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
        metadata.create_all(connection)
        for index in indices:  # sorted at once is much sooner than row by row
            index.drop(connection)
        connection.exec_driver_sql(_PARTS, {"message": _message(), "labels": json.dumps(LABELS)})
        for statement in (_DEFECTS, _PART_MINUTES, _DEFECT_MINUTES, _UNINSPECTED, _REVIEWS):
            connection.exec_driver_sql(statement)
        for index in indices:
            index.create(connection)
        connection.commit()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


def _message() -> str:
    """A message as published, with marks where parts differ."""
    message = json.loads(GOLDEN.read_text())
    marks = {"message_id": "@ID@", "inspection_id": "@ID@", "line": "@LINE@", "camera": "@LINE@-cam"}
    marks |= {"verdict": "@VERDICT@", "captured_at": "@AT@"}
    return json.dumps(message | marks | {"defects": ["@DEFECTS@"]}, separators=(",", ":"))
