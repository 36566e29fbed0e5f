"""What those who are told get to read: JSON for programs, plain text for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.alarms.notices import Notice, What
from pipeline.alarms.store import Alarm
from pipeline.alarms.values import Kind

SCHEMA = "rayline.alarms/1.0"

_KINDS = {
    Kind.REJECT_RATE: "too many rejects",
    Kind.RUN_RULE: "process out of control",
    Kind.CAMERA_BLIND: "camera blind",
    Kind.LATENCY: "verdicts come late",
}
_STATES = {What.RAISED: "", What.REPEATED: "still: ", What.CLEARED: "over: "}


def webhook_body(notices: Sequence[Notice], page_url: str | None) -> bytes:
    """JSON: the notices, and `text` for chats that show only that."""
    told = {
        "schema": SCHEMA,
        "text": "\n".join(headline(notice) for notice in notices),
        "notices": [_as_data(notice) for notice in notices],
        "page": page_url,
    }
    return orjson.dumps(told)


def headline(notice: Notice) -> str:
    """One line: "CRITICAL filling / cam-1: camera blind: no sight for 12 s: reconnecting"."""
    alarm = notice.alarm
    return f"{alarm.severity.upper()} {place(alarm)}: {_STATES[notice.what]}{_KINDS[alarm.key.kind]}: {alarm.detail}"


def mail_subject(notices: Sequence[Notice]) -> str:
    """Of one notice all but its detail; of several, how many of what."""
    first = notices[0]
    if len(notices) == 1:
        what = f"{_STATES[first.what]}{_KINDS[first.alarm.key.kind]}"
        return f"[Rayline] {first.alarm.severity.upper()} {place(first.alarm)}: {what}"
    counts = {what: sum(notice.what is what for notice in notices) for what in What}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"[Rayline] alarms: {told}"


def mail_text(notices: Sequence[Notice], page_url: str | None) -> str:
    """One paragraph a notice, and where to look."""
    paragraphs = [_paragraph(notice) for notice in notices]
    return "\n\n".join([*paragraphs, *([f"{page_url}"] if page_url else [])]) + "\n"


def place(alarm: Alarm) -> str:
    """ "filling", or "filling / cam-1"."""
    return f"{alarm.key.line} / {alarm.key.subject}" if alarm.key.subject else alarm.key.line


def _paragraph(notice: Notice) -> str:
    alarm = notice.alarm
    lines = [headline(notice), f"raised {_time(alarm.raised_ms)}"]
    if alarm.cleared_ms is not None:
        lines.append(f"over since {_time(alarm.cleared_ms)}")
    if alarm.acknowledged_by is not None:
        lines.append(f"acknowledged by {alarm.acknowledged_by}" + (f": {alarm.note}" if alarm.note else ""))
    return "\n".join(lines)


def _as_data(notice: Notice) -> dict[str, Any]:
    alarm = notice.alarm
    return {
        "id": notice.id,
        "what": notice.what,
        "at": _time(notice.at_ms),
        "alarm": {
            "id": alarm.id,
            **alarm.key._asdict(),
            "severity": alarm.severity,
            "detail": alarm.detail,
            "raised_at": _time(alarm.raised_ms),
            "cleared_at": None if alarm.cleared_ms is None else _time(alarm.cleared_ms),
            "acknowledged_by": alarm.acknowledged_by,
            "note": alarm.note,
        },
    }


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1e3, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
