"""What a relay hands on, and what the other side may answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stages.errors import RaylineError


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way out of Redis."""

    topic: str  # detections, events or inspections
    line: str
    key: str  # messages of one topic and key keep their order
    message_id: str
    at_ms: int  # Unix milliseconds of its publishing
    data: bytes


class Fate(StrEnum):
    """What became of a message."""

    STORED = "stored"  # the other side has it, for good
    REFUSED = "refused"  # the other side will never take it; the others are not touched by that
    LEFT = "left"  # it is to be sent again, before any later one of its key


@dataclass(frozen=True, slots=True)
class Sent:
    """A message's fate, and why where it is not stored."""

    fate: Fate
    reason: str = ""
    needs_a_person: bool = False


STORED = Sent(Fate.STORED)


class OtherSideAway(RaylineError):
    """Nothing can be handed on now; the text holds no secret. `needs_a_person`: it will not heal by itself."""

    def __init__(self, reason: str, *, needs_a_person: bool = False) -> None:
        super().__init__(reason)
        self.needs_a_person = needs_a_person


class RelaySink(Protocol):
    """Where a relay's messages go."""

    @property
    def address(self) -> str:
        """What may be shown of it."""

    async def send(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """One fate per message, in order; opens what it needs. Raises OtherSideAway where none is stored."""

    async def tick(self) -> None:
        """Called about once a second, between sends. Raises OtherSideAway."""

    async def close(self) -> None:
        """Let go of everything, within seconds; may be called more than once."""
