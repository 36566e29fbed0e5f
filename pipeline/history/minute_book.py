"""How each camera did by the minute, out of report after report; knows no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.orchestrate.state import CameraReport, SystemReport

MOST_MINUTES = 240  # held while the database is away; the oldest go then
_FORGOTTEN_MINUTES = 60  # a camera nobody reported for so long
STATES = ("running", "paused", "ended", "connecting", "reconnecting", "failed")  # from good to bad
HEALTH = ("ok", "blurred", "covered", "frozen", "black", "stale")


@dataclass(slots=True)
class _Minute:
    """What was told of one camera in one minute."""

    line: str
    state: str = STATES[0]
    health: str = HEALTH[0]
    fps_in: list[float] = field(default_factory=list)
    fps_out: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p95: float | None = None
    dropped: int = 0
    is_saved: bool = False

    def take(self, told: CameraReport, dropped: int) -> None:
        self.line = told.line
        self.worsen(told.state, told.health, told.latency_ms_p95)
        self.add(told.fps_in, told.fps_out, told.latency_ms_p50, dropped)

    def go_on_from(self, row: Mapping[str, Any]) -> None:
        """Another process told this of the minute before; its means count as one report."""
        self.worsen(row["state"], row["health"], row["latency_ms_p95"])
        self.add(row["fps_in"], row["fps_out"], row["latency_ms_p50"], row["dropped"])

    def worsen(self, state: str, health: str, p95: float | None) -> None:
        self.state = max(self.state, state, key=_order(STATES))
        self.health = max(self.health, health, key=_order(HEALTH))
        if p95 is not None:
            self.p95 = p95 if self.p95 is None else max(self.p95, p95)

    def add(self, fps_in: float, fps_out: float, p50: float | None, dropped: int) -> None:
        self.fps_in.append(fps_in)
        self.fps_out.append(fps_out)
        self.p50 += [] if p50 is None else [p50]
        self.dropped += dropped
        self.is_saved = False

    def figures(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "state": self.state,
            "health": self.health,
            "fps_in": _mean(self.fps_in) or 0.0,
            "fps_out": _mean(self.fps_out) or 0.0,
            "latency_ms_p50": _mean(self.p50),
            "latency_ms_p95": self.p95,
            "dropped": self.dropped,
        }


@dataclass(frozen=True, slots=True)
class _Counters:
    """A camera's as told last: they count up until its reader begins anew."""

    dropped: Mapping[str, int]
    frames_in: int
    minute: int

    def since(self, told: CameraReport) -> int:
        """Frames dropped since then. Counters that went back began anew, at nothing."""
        went_back = told.frames_in < self.frames_in or any(
            told.dropped.get(reason, 0) < frames for reason, frames in self.dropped.items()
        )
        total = sum(told.dropped.values())
        return total if went_back else total - sum(self.dropped.values())


class MinuteBook:
    """Rows of `camera_minutes`, each until it is saved and over."""

    def __init__(self) -> None:
        self._at: float | None = None  # of the report told last
        self._counters: dict[str, _Counters] = {}
        self._minutes: dict[tuple[str, int], _Minute] = {}  # (camera, minute), by minute
        self.lost = 0  # minutes given up as there were too many

    def take(self, report: SystemReport) -> None:
        """What the cameras do; a report that was told before says nothing new."""
        if self._at is not None and report.at <= self._at:
            return
        minute = int(report.at // 60)
        for camera in report.cameras:
            self._of(camera, minute).take(camera, self._dropped(camera))
            self._counters[camera.camera] = _Counters(dict(camera.dropped), camera.frames_in, minute)
        self._at = report.at
        self._counters = {
            name: each for name, each in self._counters.items() if each.minute > minute - _FORGOTTEN_MINUTES
        }
        self._bound(minute)

    def minutes(self) -> list[int]:
        """Those that it holds."""
        return sorted({minute for _, minute in self._minutes})

    def go_on_from(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows that stood there of the minutes that it holds, from before it began."""
        for row in rows:
            if (held := self._minutes.get((row["camera"], row["minute"]))) is not None:
                held.go_on_from(row)

    def unsaved(self) -> list[dict[str, Any]]:
        """Rows that are not saved as they are now."""
        return [
            {"camera": camera, "minute": minute, **held.figures()}
            for (camera, minute), held in self._minutes.items()
            if not held.is_saved
        ]

    def saved(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """These are, and nothing was told meanwhile; of minutes that are over nothing more is held."""
        for row in rows:
            self._minutes[row["camera"], row["minute"]].is_saved = True
        now = max((minute for _, minute in self._minutes), default=0)
        self._minutes = {key: held for key, held in self._minutes.items() if key[1] == now or not held.is_saved}

    def _of(self, camera: CameraReport, minute: int) -> _Minute:
        return self._minutes.setdefault((camera.camera, minute), _Minute(camera.line))

    def _dropped(self, camera: CameraReport) -> int:
        known = self._counters.get(camera.camera)
        if known is not None:
            return known.since(camera)
        return 0 if self._at is None else sum(camera.dropped.values())  # at first nobody knows since when

    def _bound(self, minute: int) -> None:
        gone = [key for key in self._minutes if key[1] <= minute - MOST_MINUTES]
        for key in gone:
            del self._minutes[key]
        self.lost += len(gone)


def _order(worse: Sequence[str]) -> Any:
    """A word of a later version is worse than all that are known: it says something this one does not understand."""
    return lambda word: worse.index(word) if word in worse else len(worse)


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
