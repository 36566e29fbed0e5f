"""A Kafka message as a source of pictures: whose it is, when it was captured, and why it may be refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from pipeline.ingest.kafka.message_settings import MessageSettings
from pipeline.names import is_name, usable_name
from stages.errors import RaylineError
from stages.values import Picture

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_SHOWN = 80  # characters of foreign text in a reason
_MILLISECONDS = re.compile(r"\d{1,16}(\.\d{1,9})?")


class Refusal(StrEnum):
    """Why a message gives no picture; what dead letters are sorted by."""

    BAD_KEY = "bad_key"  # no camera's name where one should stand
    UNKNOWN_CAMERA = "unknown_camera"
    EMPTY = "empty"
    TOO_LARGE = "too_large"  # in bytes
    TOO_MANY_PIXELS = "too_many_pixels"
    TRUNCATED = "truncated"
    NOT_DECODABLE = "not_decodable"
    UNKNOWN_FORMAT = "unknown_format"
    NO_KEYFRAME = "no_keyframe"  # coded video that begins, or goes on behind a refused message, between keyframes
    REORDERED = "reordered"  # coded with B-frames: a picture would not come with its own message
    IN_TWO_PARTITIONS = "in_two_partitions"  # a camera that came in another one a moment ago
    BAD_ENVELOPE = "bad_envelope"
    FORBIDDEN_URI = "forbidden_uri"
    FETCH_FAILED = "fetch_failed"
    BAD_TIME = "bad_time"


class MessageRefused(RaylineError):
    """A message that gives no picture; the text is a sentence for people and holds no credentials.

    `retryable`: the same message may do later (its picture could not be fetched).
    """

    def __init__(self, code: str, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.code = str(code)
        self.retryable = retryable

    def __reduce__(self) -> tuple[Any, ...]:
        return _refused_again, (self.code, str(self), self.retryable)


def _refused_again(code: str, reason: str, retryable: bool) -> MessageRefused:
    return MessageRefused(code, reason, retryable=retryable)


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One Kafka record, as it lies there."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int  # Unix milliseconds; -1 where the broker has none
    parsed: list[Mapping[str, Any]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )  # its JSON, once

    def header(self, name: str) -> bytes | None:
        """The last header of that name: who adds one later corrects the one before."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


def raw_message(record: Any) -> RawMessage:
    """A record of aiokafka's; what it has none of is empty, or -1."""
    return RawMessage(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        tuple((name, value if value is not None else b"") for name, value in record.headers),
        record.timestamp if record.timestamp is not None else -1,
    )


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture of a message; `sub` counts them from 0."""

    picture: Picture
    sub: int
    captured_at: float  # Unix seconds, UTC


def camera_of(message: RawMessage, settings: MessageSettings) -> str:
    """Name of the camera a message is of. Raises MessageRefused: bad_key, or bad_envelope where it names none."""
    given, place = _given(message, settings, settings.camera_from)
    if given is None:
        raise MessageRefused(Refusal.BAD_KEY, f"{place} should name the camera, and there is none")
    return _camera_name(given, place)


def captured_at_of(message: RawMessage, settings: MessageSettings) -> float:
    """Capture time in Unix seconds. Raises MessageRefused: bad_time, or bad_envelope where it names none."""
    given, place = _given(message, settings, settings.time_from)
    if given is None:
        raise MessageRefused(Refusal.BAD_TIME, f"{place} should tell the capture time, and there is none")
    return _unix_seconds(given, place)


def _given(message: RawMessage, settings: MessageSettings, where_from: str) -> tuple[object, str]:
    """What stands at `key`, `timestamp`, `header:NAME` or `json:PATH`, None where nothing does; and its name."""
    kind, _, where = where_from.partition(":")
    match kind:
        case "key":
            return message.key, "the key"
        case "timestamp":
            return (message.timestamp_ms if message.timestamp_ms >= 0 else None), "the timestamp"
        case "header":
            return message.header(where), f"header {where!r}"
        case _:
            return at_path(envelope(message, settings), where), f"{where!r} of the JSON"


def contents(message: RawMessage, settings: MessageSettings) -> bytes:
    """A message's bytes. Raises MessageRefused: empty or too_large."""
    if not message.value:
        raise MessageRefused(Refusal.EMPTY, "the message has no value" if message.value is None else "empty message")
    if len(message.value) > settings.max_message_bytes:
        raise MessageRefused(
            Refusal.TOO_LARGE, f"{len(message.value)} bytes; at most {settings.max_message_bytes} are read"
        )
    return message.value


def envelope(message: RawMessage, settings: MessageSettings) -> Mapping[str, Any]:
    """A message's JSON object, parsed once. Raises MessageRefused: bad_envelope, empty or too_large."""
    data = contents(message, settings)
    if message.parsed:
        return message.parsed[0]
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise MessageRefused(Refusal.BAD_ENVELOPE, f"not JSON: {exc.msg} (line {exc.lineno})") from None
    if not isinstance(found, dict):
        raise MessageRefused(Refusal.BAD_ENVELOPE, "the JSON is not an object")
    message.parsed.append(found)
    return found


def at_path(found: Mapping[str, Any], path: str) -> Any | None:
    """What stands at `a.b.c`; None where nothing does."""
    value: Any = found
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _camera_name(given: object, place: str) -> str:
    if isinstance(given, bytes):
        try:
            given = given.decode()
        except UnicodeDecodeError:
            raise MessageRefused(
                Refusal.BAD_KEY, f"{place} should name the camera, and is no text: {given[:16]!r}"
            ) from None
    if not isinstance(given, str) or not is_name(given):
        near = usable_name(given) if isinstance(given, str) else ""
        hint = f" (for example {near!r})" if near else ""
        raise MessageRefused(Refusal.BAD_KEY, f"{place} is no camera's name: {_shown(given)}{hint}")
    return given


def _unix_seconds(given: object, place: str) -> float:
    if isinstance(given, bytes):
        given = given.decode(errors="replace")
    if isinstance(given, str) and _MILLISECONDS.fullmatch(given):
        given = float(given)
    seconds = _of_text(given, place) if isinstance(given, str) else _of_milliseconds(given, place)
    if not _EARLIEST <= seconds < _LATEST:
        raise MessageRefused(
            Refusal.BAD_TIME, f"{place} tells a time before 2000 or after 2099: {_shown(given)} (wanted: milliseconds)"
        )
    return seconds


def _of_milliseconds(given: object, place: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _no_time(given, place)
    return given / 1000


def _of_text(given: str, place: str) -> float:
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise _no_time(given, place) from None
    if at.tzinfo is None:
        raise MessageRefused(Refusal.BAD_TIME, f"{place} tells a time without its zone: {_shown(given)}")
    return (at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _no_time(given: object, place: str) -> MessageRefused:
    return MessageRefused(Refusal.BAD_TIME, f"{place} is neither RFC 3339 nor milliseconds since 1970: {_shown(given)}")


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
