"""What somebody draws on a camera's picture: trigger and zones. Pure; positions are fractions of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import yaml

from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RecipeSettings

Point = tuple[float, float]

NEAR = 0.03  # of the picture: a click so near a zone's first corner closes it
MOST_ZONES = 32
MOST_CORNERS = 64
_DIGITS = 4  # a tenth of a pixel at 1080p


class NotDrawn(RaylineError):
    """It cannot be drawn so; `key` is the text that says why."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values


class Tool(StrEnum):
    """What a click makes."""

    TRIGGER = "trigger"
    ZONE = "zone"


@dataclass
class Area:
    """A zone that is drawn; `classes` are as they were set, for nobody draws those."""

    name: str
    corners: list[Point]
    classes: tuple[str, ...] | None = None


@dataclass
class Drawing:
    """The trigger (both ends, one, or none yet) and the zones, finished and begun."""

    trigger: list[Point] = field(default_factory=list)
    zones: list[Area] = field(default_factory=list)
    begun: list[Point] = field(default_factory=list)  # corners of the zone that is being drawn
    has_trigger: bool = True  # the recipe judges parts

    @classmethod
    def of(cls, recipe: RecipeSettings) -> Drawing:
        """As it is in force."""
        zones = [Area(zone.name, [*zone.polygon], zone.classes) for zone in recipe.zones.zones]
        inspection = recipe.inspection
        trigger = [] if inspection is None else [*inspection.trigger]
        return cls(trigger, zones, has_trigger=inspection is not None)

    def click(self, tool: Tool, point: Point, name: str) -> None:
        """One click of this tool. `name`: of the zone that it may finish. Raises NotDrawn."""
        point = _inside(point)
        if tool is Tool.TRIGGER:
            self._click_trigger(point)
        elif len(self.begun) >= 3 and math.dist(point, self.begun[0]) <= NEAR:
            self.close(name)
        elif len(self.begun) < MOST_CORNERS:
            self.begun.append(point)

    def close(self, name: str) -> None:
        """The begun zone is finished. Raises NotDrawn."""
        name = name.strip()
        if len(self.begun) < 3:
            raise NotDrawn("cameras.draw.too_few")
        if len(self.zones) >= MOST_ZONES:
            raise NotDrawn("cameras.draw.most", most=MOST_ZONES)
        if not name or any(zone.name == name for zone in self.zones):
            raise NotDrawn("cameras.draw.name_taken", name=name)
        self.zones.append(Area(name, self.begun))
        self.begun = []

    def undo(self, tool: Tool) -> None:
        """The last click of this tool is taken back."""
        if tool is Tool.TRIGGER:
            self.trigger = self.trigger[:-1]
        elif self.begun:
            self.begun = self.begun[:-1]

    def delete(self, name: str) -> None:
        """Without this zone."""
        self.zones = [zone for zone in self.zones if zone.name != name]

    def move(self, corners: list[Point], number: int, axis: int, value: float) -> None:
        """One coordinate of one of these points, by its number."""
        if 0 <= number < len(corners):
            x, y = corners[number]
            corners[number] = _inside((value, y) if axis == 0 else (x, value))

    def free_name(self) -> str:
        """For the next zone."""
        taken = {zone.name for zone in self.zones}
        return next(name for number in range(1, MOST_ZONES + 2) if (name := f"zone-{number}") not in taken)

    def settings(self) -> dict[str, Any]:
        """As a camera's settings; without a trigger where its two ends are not there."""
        zones = []
        for zone in self.zones:
            told: dict[str, Any] = {"name": zone.name, "polygon": [list(corner) for corner in zone.corners]}
            zones.append(told | ({} if zone.classes is None else {"classes": list(zone.classes)}))
        trigger = (
            {"trigger": [list(end) for end in self.trigger]} if self.has_trigger and len(self.trigger) == 2 else {}
        )
        return {**trigger, "zones": zones}

    def changes(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """What of it differs from `before`, which `settings` gave."""
        return {name: value for name, value in self.settings().items() if value != before.get(name)}

    def as_yaml(self, camera: str) -> str:
        """As it would stand in the config file."""
        text: str = yaml.safe_dump({"cameras": {camera: self.settings()}}, sort_keys=False, default_flow_style=None)
        return text

    def _click_trigger(self, point: Point) -> None:
        if not self.has_trigger:
            return
        self.trigger = [point] if len(self.trigger) >= 2 else [*self.trigger, point]


def _inside(point: Point) -> Point:
    x, y = (round(min(1.0, max(0.0, value)), _DIGITS) for value in point)
    return x, y
