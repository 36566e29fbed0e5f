"""A refused message as a dead letter: itself, and in headers why and whence; and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.ingest.kafka.message import MessageRefused, RawMessage
from stages.errors import RaylineError

REASON = "rayline-reason"
CODE = "rayline-code"
TOPIC = "rayline-topic"
PARTITION = "rayline-partition"
OFFSET = "rayline-offset"
TIMESTAMP = "rayline-timestamp"  # the message's own, Unix milliseconds
FAILED_AT = "rayline-failed-at"  # RFC 3339, UTC
CUT = "rayline-cut"  # bytes the message had, where they are not in its dead letter
REDRIVEN = "rayline-redriven"  # how often the message was sent back; it stays with it

_OURS = frozenset({REASON, CODE, TOPIC, PARTITION, OFFSET, TIMESTAMP, FAILED_AT, CUT})
_LONGEST_REASON = 500
_HEADER_OVERHEAD = 20  # bytes a header takes beside its name and value, at most

Headers = tuple[tuple[str, bytes], ...]
Record = tuple[bytes | None, bytes | None, Headers]  # key, value, headers: what a producer sends


class NotADeadLetter(RaylineError):
    """A record that lacks the headers every dead letter has."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message, and where its dead letter lies."""

    message: RawMessage  # as it was where it came from
    partition: int  # of the dead letter itself
    offset: int
    code: str
    reason: str
    failed_at: str  # RFC 3339, UTC
    size_bytes: int  # of the message's value
    is_cut: bool  # its value was not kept
    redriven: int  # how often it had been sent back before it failed this time

    def without_value(self) -> DeadLetter:
        """What a list of many needs of it."""
        return replace(self, message=replace(self.message, value=None))


def dead_letter(message: RawMessage, refused: MessageRefused, now: float, most_bytes: int = 1_000_000) -> Record:
    """What to send to the topic of dead letters: the message whole, or where that is over `most_bytes`, its headers.

    `now`: Unix seconds. Headers of ours that it already had give way, but for the count of its returns.
    """
    kept = tuple(header for header in message.headers if header[0] not in _OURS)
    ours: Headers = (
        (REASON, str(refused)[:_LONGEST_REASON].encode(errors="replace")),
        (CODE, refused.code.encode()),
        (TOPIC, message.topic.encode()),
        (PARTITION, b"%d" % message.partition),
        (OFFSET, b"%d" % message.offset),
        (TIMESTAMP, b"%d" % message.timestamp_ms),
        (FAILED_AT, datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").encode()),
    )
    if _size(message.key, message.value, (*kept, *ours)) <= most_bytes:
        return message.key, message.value, (*kept, *ours)
    cut = (*ours, (CUT, b"%d" % len(message.value or b"")))
    attempts = ((message.key, (*kept, *cut)), (message.key, cut))
    fitting = ((key, b"", headers) for key, headers in attempts if _size(key, b"", headers) <= most_bytes)
    return next(fitting, (None, b"", cut))


def parse(record: RawMessage) -> DeadLetter:
    """A record of a topic of dead letters as what it was. Raises NotADeadLetter."""
    try:
        is_cut = record.header(CUT) is not None
        message = RawMessage(
            _text(record, TOPIC),
            int(_text(record, PARTITION)),
            int(_text(record, OFFSET)),
            record.key,
            None if is_cut else record.value,
            tuple(header for header in record.headers if header[0] not in _OURS),
            int(_text(record, TIMESTAMP)),
        )
        return DeadLetter(
            message,
            record.partition,
            record.offset,
            _text(record, CODE),
            _text(record, REASON),
            _text(record, FAILED_AT),
            int(_text(record, CUT)) if is_cut else len(record.value or b""),
            is_cut,
            _count(message),
        )
    except ValueError as exc:
        raise NotADeadLetter(f"{record.topic}/{record.partition} offset {record.offset}: {exc}") from None


def redriven(letter: DeadLetter) -> Record:
    """What to send back to where the message came from: itself, counted. Raises ValueError where it was cut."""
    if letter.is_cut:
        raise ValueError(f"its {letter.size_bytes} bytes were not kept")
    message = letter.message
    headers = tuple(header for header in message.headers if header[0] != REDRIVEN)
    return message.key, message.value, (*headers, (REDRIVEN, b"%d" % (letter.redriven + 1)))


def _text(record: RawMessage, name: str) -> str:
    value = record.header(name)
    if value is None:
        raise ValueError(f"no dead letter: it has no header {name}")
    return value.decode(errors="replace")


def _count(message: RawMessage) -> int:
    value = message.header(REDRIVEN) or b""
    return int(value) if value.isdigit() and len(value) < 10 else 0


def _size(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> int:
    names = sum(len(name.encode()) + len(content or b"") + _HEADER_OVERHEAD for name, content in headers)
    return len(key or b"") + len(value or b"") + names + 100
