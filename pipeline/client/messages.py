"""What a subscriber is given, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.sinks.group_commands import id_before
from pipeline.sinks.group_reader import EntriesLost
from pipeline.sinks.keys import is_key_name, stream_pattern
from stages.errors import RaylineError
from stages.results.models import DetectionMessage, EventMessage, InspectionMessage, UninspectedMessage

Body = DetectionMessage | EventMessage | InspectionMessage | UninspectedMessage

TOPICS = ("detections", "events", "inspections")
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, and where it stands."""

    body: Body
    message_id: str  # the same on every repeat of this message
    stream: str
    entry_id: str
    tries: int  # 1 the first time; read without a group: always 1
    data: bytes  # the JSON as published


class EntriesLostError(RaylineError):
    """Entries were trimmed before they were read; `lost` tells which.

    A group is behind them already; who reads without one goes on after `entry_id`, the last of them.
    """

    def __init__(self, lost: EntriesLost) -> None:
        super().__init__(f"{lost.stream}: entries after {lost.after} and before {lost.before} were trimmed unread")
        self.lost = lost
        self.stream = lost.stream
        self.entry_id = id_before(lost.before)


class UnreadableError(RaylineError):
    """An entry holds no message of a schema known here; reading on after its id passes over it."""

    def __init__(self, stream: str, entry_id: str, reason: str) -> None:
        super().__init__(f"{stream} {entry_id}: {reason}")
        self.stream = stream
        self.entry_id = entry_id


def patterns_of(topics: Sequence[str], line: str, camera: str) -> list[str]:
    """Redis globs of the topics' streams. Raises ValueError where a name cannot be one."""
    if not topics:
        raise ValueError(f"name at least one topic: {', '.join(TOPICS)}")
    for topic in topics:
        if topic not in TOPICS:
            raise ValueError(f"topic {topic!r} is not one of {', '.join(TOPICS)}")
    for name in (line, camera):
        if name != _ANY and not is_key_name(name):
            raise ValueError(f"{name!r} cannot be a line or camera name: letters, digits, '_', '.' and '-' only")
    return [stream_pattern(topic, line, camera) for topic in dict.fromkeys(topics)]


def is_of(body: Body, camera: str) -> bool:
    """True for any camera or this one: a line's inspections stand in one stream."""
    return camera in (_ANY, body.camera)
