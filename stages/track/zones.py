"""Lines that count and zones that notice: tracks in, events out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from stages.geometry import Point, box_center, point_in_polygon, segments_cross, side_of_line
from stages.settings import Settings
from stages.values import CameraId, Event, Position, Tracks

VERSION = 1

Fractions = tuple[float, float]


class Direction(StrEnum):
    """Which way a line was crossed, looking from its start to its end."""

    IN = "in"  # from the left of the line to its right
    OUT = "out"  # from the right to the left


def _in_picture(points: Sequence[Fractions]) -> None:
    for x, y in points:
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"point ({x}, {y}) lies outside the picture: fractions of its width and height, 0..1")


class ZoneSettings(Settings):
    """An area of the picture whose visitors are reported."""

    name: str = Field(min_length=1, max_length=64, description="What events call it; unique among the camera's zones.")
    polygon: tuple[Fractions, ...] = Field(
        min_length=3,
        max_length=64,
        description="Corners x y as fractions of the picture, 0..1, in order round the area.",
    )
    classes: tuple[str, ...] | None = Field(
        None, description="Class names that count; null counts all. Fewer keeps hands and tools out of the events."
    )

    @field_validator("polygon")
    @classmethod
    def _polygon_in_picture(cls, polygon: tuple[Fractions, ...]) -> tuple[Fractions, ...]:
        _in_picture(polygon)
        return polygon


class LineSettings(Settings):
    """A line whose crossings are counted."""

    name: str = Field(min_length=1, max_length=64, description="What events call it; unique among the camera's lines.")
    start: Fractions = Field(description="One end, x y as fractions of the picture, 0..1.")
    end: Fractions = Field(
        description="The other end. Looking from start to end, left to right is `in`; swap the ends to swap directions."
    )
    classes: tuple[str, ...] | None = Field(
        None, description="Class names that count; null counts all. Fewer keeps hands and tools out of the counts."
    )
    directions: tuple[Direction, ...] = Field(
        (Direction.IN, Direction.OUT),
        min_length=1,
        description="Ways of crossing that are counted. One alone ignores parts that come back; both report them.",
    )

    @model_validator(mode="after")
    def _has_length(self) -> LineSettings:
        _in_picture((self.start, self.end))
        if self.start == self.end:
            raise ValueError(f"line {self.name!r} starts and ends at {self.start}")
        return self


class ZonesSettings(Settings):
    """The lines and zones of one camera."""

    lines: tuple[LineSettings, ...] = Field((), max_length=32, description="Lines that count crossings.")
    zones: tuple[ZoneSettings, ...] = Field((), max_length=32, description="Areas that report who comes and goes.")
    min_track_age_frames: int = Field(
        2,
        ge=1,
        le=1000,
        description="Sightings a track needs before it counts; a crossing made earlier is counted then. More keeps "
        "flicker out of the counts; too many lose objects that pass quickly.",
    )
    hysteresis: float = Field(
        0.01,
        ge=0,
        le=0.25,
        description="How far past a line, or outside a zone, a centre must be before it counts, as a fraction of the "
        "picture's smaller side. More ignores more jitter; too much loses objects that turn back or stop close by.",
    )
    forget_after_s: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Seconds a track may stay unseen before it has left its zones. Set it above what the tracker "
        "bridges (max_lost_frames over fps): shorter reports leaving twice, longer reports it late.",
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> ZonesSettings:
        for kind, names in (("line", [x.name for x in self.lines]), ("zone", [x.name for x in self.zones])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind} names must differ, {', '.join(twice)} occurs twice")
        return self


@dataclass(slots=True)
class _Visitor:
    """What is known of one track."""

    seen: int = 0  # sightings, up to min_track_age_frames
    last_at: float = 0.0
    label: str = ""
    clear: dict[str, Fractions] = field(default_factory=dict)  # line -> where it last was clear of the line
    entered: dict[str, float] = field(default_factory=dict)  # zone -> since when it is inside


@dataclass(frozen=True, slots=True)
class _Sighting:
    track_id: int
    label: str
    center: Point  # pixels
    size_wh: tuple[int, int]
    at: float
    event_suffix: str

    @property
    def fractions(self) -> Fractions:
        return self.center[0] / self.size_wh[0], self.center[1] / self.size_wh[1]


class Zones:
    """Lines and zones of one camera. Only tracked objects count (never track_id -1), by their box's centre."""

    def __init__(self, settings: ZonesSettings, camera_id: CameraId, class_names: Sequence[str] = ()) -> None:
        """`class_names`: of the model whose class ids come in; an id without a name is called `class N`."""
        self._settings = settings
        self._camera_id = camera_id
        self._class_names = tuple(class_names)
        self._visitors: dict[int, _Visitor] = {}
        self._counts = {(line.name, direction): 0 for line in settings.lines for direction in Direction}

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Crossings so far: line -> direction -> number."""
        return {x.name: {d.value: self._counts[x.name, d] for d in Direction} for x in self._settings.lines}

    @property
    def occupants(self) -> dict[str, tuple[int, ...]]:
        """Who is inside now: zone -> track ids."""
        return {
            z.name: tuple(i for i, v in self._visitors.items() if z.name in v.entered) for z in self._settings.zones
        }

    def use_classes(self, class_names: Sequence[str]) -> None:
        """Read class ids by these names from now on (another model)."""
        self._class_names = tuple(class_names)

    def update(self, tracks: Tracks, size_wh: tuple[int, int], position: Position, at: float) -> tuple[Event, ...]:
        """Events of this frame. `at`: the frame's capture time, Unix seconds. The same frames give the same ids."""
        if not self._settings.lines and not self._settings.zones:
            return ()
        events: list[Event] = []
        suffix = f"{self._camera_id}/{position.encode()}"
        for sighting in self._sightings(tracks, size_wh, at, suffix):
            visitor = self._visitors.setdefault(sighting.track_id, _Visitor())
            visitor.seen = min(visitor.seen + 1, self._settings.min_track_age_frames)
            visitor.last_at, visitor.label = at, sighting.label
            events += self._crossings(visitor, sighting)
            events += self._visits(visitor, sighting)
        events += self._forget(at, suffix)
        return tuple(events)

    def checkpoint(self) -> dict[str, Any]:
        """Counts and what is known of each track, as plain numbers and strings."""
        return {
            "v": VERSION,
            "counts": [[line, str(direction), n] for (line, direction), n in self._counts.items()],
            "visitors": [[i, v.seen, v.last_at, v.label, v.clear, v.entered] for i, v in self._visitors.items()],
        }

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on from a checkpoint, less the lines and zones no longer configured. Raises ValueError if unreadable."""
        if not isinstance(checkpoint, Mapping) or checkpoint.get("v") != VERSION:
            raise ValueError(f"not a zones checkpoint of version {VERSION}")
        try:
            counts = {(str(line), Direction(d)): int(n) for line, d, n in checkpoint["counts"]}
            visitors = {int(row[0]): self._visitor(row) for row in checkpoint["visitors"]}
        except (KeyError, TypeError, ValueError, IndexError) as exc:
            raise ValueError(f"zones checkpoint cannot be read: {exc!r}") from exc
        self._counts = {key: counts.get(key, 0) for key in self._counts}
        self._visitors = visitors

    def reset(self) -> None:
        """Forget all tracks; counts stay."""
        self._visitors.clear()

    def _visitor(self, row: Sequence[Any]) -> _Visitor:
        _, seen, last_at, label, clear, entered = row
        lines, zones = {x.name for x in self._settings.lines}, {x.name for x in self._settings.zones}
        return _Visitor(
            int(seen),
            float(last_at),
            str(label),
            {str(name): (float(x), float(y)) for name, (x, y) in clear.items() if name in lines},
            {str(name): float(since) for name, since in entered.items() if name in zones},
        )

    def _sightings(self, tracks: Tracks, size_wh: tuple[int, int], at: float, suffix: str) -> Iterator[_Sighting]:
        for row in np.flatnonzero(tracks.track_id >= 0):
            x, y = box_center(tracks.xyxy[row])[0]
            label = self._label(int(tracks.class_id[row]))
            yield _Sighting(int(tracks.track_id[row]), label, (float(x), float(y)), size_wh, at, suffix)

    def _label(self, class_id: int) -> str:
        return self._class_names[class_id] if 0 <= class_id < len(self._class_names) else f"class {class_id}"

    def _margin_px(self, size_wh: tuple[int, int]) -> float:
        return self._settings.hysteresis * min(size_wh)

    def _crossings(self, visitor: _Visitor, now: _Sighting) -> Iterator[Event]:
        """A crossing is a centre that was clear of the line on one side and is clear of it on the other."""
        for line in self._settings.lines:
            if line.classes is not None and now.label not in line.classes:
                continue
            start, end = _pixels(line.start, now.size_wh), _pixels(line.end, now.size_wh)
            length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
            distance = side_of_line(now.center, start, end) / length
            before = visitor.clear.get(line.name)
            if before is None:
                if distance != 0:
                    visitor.clear[line.name] = now.fractions
                continue
            if abs(distance) <= self._margin_px(now.size_wh) or visitor.seen < self._settings.min_track_age_frames:
                continue
            came_from = _pixels(before, now.size_wh)
            visitor.clear[line.name] = now.fractions
            if side_of_line(came_from, start, end) * distance < 0 and segments_cross(came_from, now.center, start, end):
                yield from self._crossed(line, Direction.IN if distance > 0 else Direction.OUT, now)

    def _crossed(self, line: LineSettings, direction: Direction, now: _Sighting) -> Iterator[Event]:
        if direction not in line.directions:
            return
        self._counts[line.name, direction] += 1
        data = {"line": line.name, "direction": direction.value, "count": self._counts[line.name, direction]}
        yield _event("line_crossed", line.name, now, data)

    def _visits(self, visitor: _Visitor, now: _Sighting) -> Iterator[Event]:
        """Inside from the first centre within; outside only when farther from the area than the margin."""
        if visitor.seen < self._settings.min_track_age_frames:
            return
        for zone in self._settings.zones:
            since = visitor.entered.get(zone.name)
            if since is None and zone.classes is not None and now.label not in zone.classes:
                continue
            polygon = [_pixels(corner, now.size_wh) for corner in zone.polygon]
            inside = bool(point_in_polygon([now.center], polygon)[0])
            if since is None and inside:
                visitor.entered[zone.name] = now.at
                yield _event("zone_entered", zone.name, now, {"zone": zone.name, "dwell_s": 0.0})
            elif since is not None and not inside and _distance(now.center, polygon) > self._margin_px(now.size_wh):
                del visitor.entered[zone.name]
                yield _event("zone_left", zone.name, now, {"zone": zone.name, "dwell_s": max(now.at - since, 0.0)})

    def _forget(self, at: float, suffix: str) -> Iterator[Event]:
        """Tracks unseen too long have left where they were, when they were last seen."""
        gone = [i for i, v in self._visitors.items() if abs(at - v.last_at) > self._settings.forget_after_s]
        for track_id in gone:
            visitor = self._visitors.pop(track_id)
            for zone, since in visitor.entered.items():
                seen = {"track_id": track_id, "label": visitor.label, "lost": True}
                data = {"zone": zone, "dwell_s": max(visitor.last_at - since, 0.0), **seen}
                yield Event(f"{suffix}/zone_left/{zone}/{track_id}", "zone_left", visitor.last_at, data)


def _event(kind: str, name: str, now: _Sighting, data: Mapping[str, Any]) -> Event:
    event_id = f"{now.event_suffix}/{kind}/{name}/{now.track_id}"
    return Event(event_id, kind, now.at, {**data, "track_id": now.track_id, "label": now.label})


def _pixels(fractions: Fractions, size_wh: tuple[int, int]) -> Point:
    return fractions[0] * size_wh[0], fractions[1] * size_wh[1]


def _distance(point: Point, polygon: Sequence[Point]) -> float:
    """From a point to the nearest edge, pixels."""
    corners = np.asarray(polygon, np.float64)
    edges = np.roll(corners, -1, axis=0) - corners
    to_point = np.asarray(point, np.float64) - corners
    lengths = np.maximum((edges**2).sum(axis=1), 1e-12)
    along = np.clip((to_point * edges).sum(axis=1) / lengths, 0, 1)
    return float(np.linalg.norm(to_point - along[:, None] * edges, axis=1).min())
