"""One message as one line for people."""

from __future__ import annotations

from datetime import datetime

from stages.results.models import (
    DetectionMessage,
    EventMessage,
    InspectionMessage,
    MessageError,
    UninspectedMessage,
    parse_message,
)


def line_of(data: bytes) -> str:
    """The message as a line; bytes that are none are told as such."""
    try:
        message = parse_message(data)
    except MessageError as exc:
        return f"?  {exc}"
    match message:
        case DetectionMessage():
            return _detection(message)
        case EventMessage():
            return _event(message)
        case InspectionMessage():
            return _inspection(message)
        case UninspectedMessage():
            return _uninspected(message)


def _detection(message: DetectionMessage) -> str:
    objects = ", ".join(f"{o.label}{'' if o.id is None else f'#{o.id}'} {o.score:.2f}" for o in message.objects)
    dropped = sum(message.dropped_since_last.values())
    extras = [
        f"error: {message.error}" if message.error else "",
        f"camera {message.health.value}" if message.health.value != "ok" else "",
        f"{dropped} dropped before" if dropped else "",
        f"{message.latency_ms['total']:.0f} ms" if "total" in message.latency_ms else "",
    ]
    tail = "".join(f"  {extra}" for extra in extras if extra)
    return f"{_clock(message.captured_at)}  {message.camera}  seq {message.seq}  {objects or 'nothing'}{tail}"


def _event(message: EventMessage) -> str:
    data = " ".join(f"{key}={value}" for key, value in message.data.items())
    return f"{_clock(message.at)}  {message.camera}  {message.kind}  {data}"


def _inspection(message: InspectionMessage) -> str:
    reasons = ", ".join(message.reasons)
    usable = message.votes.get("usable", 0)
    parts = [
        _clock(message.captured_at),
        f"{message.line}/{message.station}",
        f"part {message.track_id}",
        f"{message.verdict.value.upper()}{f' ({reasons})' if reasons else ''}",
        f"{usable} sightings",
    ]
    if message.latency_ms is not None:
        parts.append(f"{message.latency_ms:.0f} ms")
    if message.snapshot is not None:
        parts.append(message.snapshot.uri)
    return "  ".join(parts)


def _uninspected(message: UninspectedMessage) -> str:
    until = _clock(message.until) if message.until else "now"
    place = f"{message.line}/{message.station}"
    return f"{_clock(message.since)}  {place}  UNINSPECTED until {until}  {message.reason}"


def _clock(at: datetime) -> str:
    """Time of day, local, to the millisecond."""
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3]
