"""A way of telling people, and what may become of a message there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.alarms.channel_settings import ChannelSettings
from pipeline.alarms.notices import Notice
from stages.errors import RaylineError


class NotTaken(RaylineError):
    """It may be taken another time; the text holds no secret."""


class Refused(RaylineError):
    """It will be refused again, as it is; the text holds no secret."""


class Channel(Protocol):
    """Tells what it is given, all of it or nothing."""

    @property
    def name(self) -> str:
        """What its notices are filed under."""

    @property
    def settings(self) -> ChannelSettings:
        """Whom it concerns, and how long it is tried."""

    async def send(self, notices: Sequence[Notice]) -> None:
        """Returns once it was taken. The same may come again after a crash. Raises NotTaken, Refused."""

    async def close(self) -> None:
        """Lets go of what it holds; may be called more than once."""
