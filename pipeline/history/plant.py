"""The plant's clock, its time zone and shifts, and which run rules its charts go by."""

from __future__ import annotations

import re
from datetime import time
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from pipeline.history.run_rules import RuleSet
from pipeline.names import Name
from stages.settings import Settings

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Shift(Settings):
    """A shift; one that ends before it begins ends on the next day."""

    name: Name = Field(description="As people call it.")
    start: str = Field(description="When it begins, such as 06:00, by the plant's clock.")
    end: str = Field(description="When it ends, such as 14:00.")

    @field_validator("start", "end")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if not _CLOCK.fullmatch(text):
            raise ValueError(f"{text!r} is no time of the day: write it as 06:00")
        return text

    @property
    def start_time(self) -> time:
        """By the plant's clock."""
        return time.fromisoformat(self.start)

    @property
    def end_time(self) -> time:
        """By the plant's clock."""
        return time.fromisoformat(self.end)


class PlantSettings(Settings):
    """Days and shifts are reckoned by these, and control charts judged."""

    time_zone: str = Field("UTC", description="IANA name, such as Europe/Berlin: days, shifts and hours go by it.")
    shifts: tuple[Shift, ...] = Field(
        (), max_length=24, description="Shifts of a day, which the page offers as ranges. None: days only."
    )
    run_rules: RuleSet = Field(
        RuleSet.NELSON_1_4,
        description="Which patterns of a control chart are marked, and raise the alarm `run_rule`: nelson-1-4, nelson "
        "(all eight) or western-electric. More notice smaller changes, and mark more where nothing is wrong.",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is no time zone: write an IANA name such as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [shift.name for shift in self.shifts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two shifts are called {twice[0]!r}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The plant's."""
        return ZoneInfo(self.time_zone)
