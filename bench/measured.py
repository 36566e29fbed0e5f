"""A started Rayline, measured for a time: what it published, how late, and what that cost, by process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import SecretStr

from bench import processes
from bench.figures import percentiles, spread
from bench.processes import NOT_RAYLINE, Held
from pipeline.config import RaylineConfig
from pipeline.running import Rayline, started
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisSettings

WARM_UP_S = 8.0
_LOOK_EVERY_S = 5.0  # each look costs 7 ms of the cores that are measured


@dataclass(frozen=True)
class Window:
    """One stretch of the measurement. Times are Unix seconds."""

    since: float
    until: float
    cpu_s: Mapping[str, float]  # used in it, by process name
    messages: list[dict[str, Any]]  # published in it

    @property
    def fps(self) -> float:
        """Frames published a second, all cameras together."""
        return len(self.messages) / (self.until - self.since)

    def cpu_ms_per_frame(self) -> dict[str, float]:
        """By process name."""
        frames = max(1, len(self.messages))
        return {name: round(used * 1e3 / frames, 2) for name, used in sorted(self.cpu_s.items())}

    def rayline_cpu_ms_per_frame(self) -> float:
        """All of it but the cameras and whoever measures: those are other machines."""
        used = sum(seconds for name, seconds in self.cpu_s.items() if name not in NOT_RAYLINE)
        return used * 1e3 / max(1, len(self.messages))


@dataclass(frozen=True)
class Measured:
    """All windows, and what was held meanwhile."""

    windows: list[Window]
    peak_rss_mb: Mapping[str, float]
    held: Mapping[str, Held] = field(default_factory=dict)  # at the end

    @property
    def whole(self) -> Window:
        """The windows as one."""
        cpu_s: Counter[str] = Counter()
        for window in self.windows:
            cpu_s.update(window.cpu_s)
        messages = [message for window in self.windows for message in window.messages]
        return Window(self.windows[0].since, self.windows[-1].until, cpu_s, messages)

    def report(self) -> dict[str, Any]:
        """The figures, as they stand in a benchmark's JSON."""
        whole = self.whole
        return {
            "fps": round(whole.fps, 2),
            "fps_spread": spread([window.fps for window in self.windows]),
            "latency_ms": percentiles([message["latency_ms"]["total"] for message in whole.messages]),
            "cpu_ms_per_frame": whole.cpu_ms_per_frame(),
            "rayline_cpu_ms_per_frame": spread([window.rayline_cpu_ms_per_frame() for window in self.windows]),
            "rss_mb": {
                **{name: round(mb) for name, mb in sorted(self.peak_rss_mb.items())},
                "total": round(sum(self.peak_rss_mb.values())),
            },
            "dropped": sum(sum(message["dropped_since_last"].values()) for message in whole.messages),
        }


def measure(config: RaylineConfig, seconds: float, windows: int = 1, warm_up_s: float = WARM_UP_S) -> Measured:
    """Start it, wait until every camera has published and the warm-up is over, and measure."""
    with started(config) as rayline:
        until_published(rayline, len(config.cameras))
        time.sleep(warm_up_s)
        return measure_running(rayline, seconds, windows)


def measure_running(rayline: Rayline, seconds: float, windows: int = 1) -> Measured:
    """As `measure`, of one that runs already."""
    peak: dict[str, float] = {}
    marks = [(time.time(), processes.cpu_seconds())]
    for _ in range(windows):
        _watch(marks[-1][0] + seconds / windows, peak)
        marks.append((time.time(), processes.cpu_seconds()))
    held = processes.held()
    messages = asyncio.run(published(rayline.redis_url))
    return Measured([_window(*marks[n], *marks[n + 1], messages) for n in range(windows)], peak, held)


def until_published(rayline: Rayline, cameras: int, timeout_s: float = 300.0) -> None:
    """Returns once so many cameras have published. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while (seen := asyncio.run(_cameras_seen(rayline.redis_url))) < cameras:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{seen} of {cameras} cameras published within {timeout_s:.0f} s")
        time.sleep(0.5)


async def published(redis_url: str, count: int = 100_000) -> list[dict[str, Any]]:
    """All detection messages so far, each with `published`: Unix seconds."""
    messages = []
    async with StreamReader(RedisSettings(url=SecretStr(redis_url))) as reader:
        for seen in await reader.cameras():
            stream = f"rayline:{{{seen.line}}}:detections:{seen.camera}"
            for entry in await reader.read(stream, count=count):
                message = orjson.loads(entry.data)
                message["published"] = int(entry.entry_id.partition("-")[0]) / 1e3
                messages.append(message)
    return messages


async def _cameras_seen(redis_url: str) -> int:
    async with StreamReader(RedisSettings(url=SecretStr(redis_url))) as reader:
        return len(await reader.cameras())


def _watch(until: float, peak: dict[str, float]) -> None:
    while (left_s := until - time.time()) > 0:
        time.sleep(min(_LOOK_EVERY_S, left_s))
        for name, mb in processes.rss_mb().items():
            peak[name] = max(peak.get(name, 0.0), mb)


def _window(
    since: float, before: Counter[str], until: float, after: Counter[str], messages: list[dict[str, Any]]
) -> Window:
    inside = [message for message in messages if since <= message["published"] < until]
    return Window(since, until, {name: after[name] - before[name] for name in sorted(after)}, inside)
