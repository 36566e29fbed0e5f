"""Everything a part's message says, in words, and the message itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import orjson

if TYPE_CHECKING:
    from stages.results.models import InspectionMessage, ModelRef

MOST_RAW = 100_000  # characters of a message that are shown


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the table; `key` names its words in the page's texts."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """Facts that belong together."""

    key: str
    facts: tuple[Fact, ...]


def raw(text: str) -> str:
    """The message laid out for reading, every field of it, those of later versions too."""
    try:
        laid_out = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        laid_out = text
    return laid_out if len(laid_out) <= MOST_RAW else laid_out[:MOST_RAW] + "…"


def sections(message: InspectionMessage, zone: ZoneInfo) -> list[Section]:
    """The table of a part, what people ask for first on top."""
    return [
        Section("part", _part(message)),
        Section("judged", _judged(message)),
        Section("times", _times(message, zone)),
        Section("model", _model(message.model, message)),
        Section("source", _source(message)),
        Section("picture", _picture(message)),
    ]


def clock_time(at: datetime, zone: ZoneInfo) -> str:
    """To the millisecond by the plant's clock, and the clock's distance from UTC."""
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local:%z}"


def _part(message: InspectionMessage) -> tuple[Fact, ...]:
    return _facts(
        ("inspection_id", message.inspection_id),
        ("external_id", message.external_id),
        ("line", message.line),
        ("station", message.station),
        ("camera", message.camera),
        ("counts", "yes" if message.counts else "no"),
        ("track_id", message.track_id),
    )


def _judged(message: InspectionMessage) -> tuple[Fact, ...]:
    return _facts(
        ("verdict", message.verdict.value),
        ("reasons", ", ".join(message.reasons)),
        ("defects", "; ".join(f"{d.label} {d.score:.2f} {_box(d.box)}" for d in message.defects)),
        ("votes", ", ".join(f"{name} {count}" for name, count in message.votes.items())),
        ("recipe", message.recipe),
        ("config_hash", message.config_hash),
        ("box", _box(message.box)),
        ("size", f"{message.size.width} × {message.size.height}"),  # noqa: RUF001 - read by people
    )


def _times(message: InspectionMessage, zone: ZoneInfo) -> tuple[Fact, ...]:
    decided_ms = (message.decided_at - message.captured_at).total_seconds() * 1000
    return _facts(
        ("captured_at", clock_time(message.captured_at, zone)),
        ("clock", message.clock.value),
        ("decided_at", clock_time(message.decided_at, zone)),
        ("decided_after", f"{decided_ms:.0f} ms"),
        ("published_at", clock_time(message.published_at, zone)),
        ("latency", None if message.latency_ms is None else f"{message.latency_ms:.0f} ms"),
    )


def _model(model: ModelRef, message: InspectionMessage) -> tuple[Fact, ...]:
    return _facts(
        ("model_name", model.name),
        ("model_version", model.version),
        ("model_variant", model.variant),
        ("model_runtime", model.runtime),
        ("model_sha256", model.sha256),
        ("schema", message.schema_),
    )


def _source(message: InspectionMessage) -> tuple[Fact, ...]:
    return _facts(("source_kind", message.source.kind), ("position", message.source.position))


def _picture(message: InspectionMessage) -> tuple[Fact, ...]:
    snapshot = message.snapshot
    return _facts(
        ("snapshot_uri", snapshot.uri if snapshot is not None else None),
        ("snapshot_sha256", snapshot.sha256 if snapshot is not None else None),
        ("snapshot_error", message.snapshot_error),
    )


def _facts(*pairs: tuple[str, object]) -> tuple[Fact, ...]:
    """What is not known is said as such, for a line that is left out looks forgotten."""
    return tuple(Fact(key, "–" if value in (None, "") else str(value)) for key, value in pairs)  # noqa: RUF001


def _box(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"
