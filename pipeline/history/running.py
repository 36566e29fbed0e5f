"""The whole history in one event loop: each of its parts runs by itself, and begins anew if it breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.history.camera_minutes import CameraMinutes
from pipeline.history.collector import Collector, CollectorStatus
from pipeline.history.database import Database, database_url
from pipeline.history.migrate import HistoryIsNewer, open_history
from pipeline.history.retention import Retention
from pipeline.history.settings import HistorySettings
from pipeline.ingest.backoff import backoff_delays
from pipeline.observe.logs import log_context
from pipeline.sinks.redis_client import RedisSettings
from pipeline.waiting import is_set_within

logger = logging.getLogger(__name__)

LAST_WORDS_S = 2.0  # what is not written by then waits in Redis for the next start
STOP_TIMEOUT_S = 8.0
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
WELL_S = 60.0  # a part that ran so long before it broke rests as after the first time


class Part(Protocol):
    """Runs until it is told to finish."""

    async def run(self) -> None:
        """Called once. What it raises is told, and another one is made."""

    def finish(self) -> None:
        """Make `run` return soon."""


MakePart = Callable[[Database], Part]


@dataclass(frozen=True, slots=True)
class HistorySpec:
    """What is kept, where it comes from, and where it goes."""

    settings: HistorySettings
    redis: RedisSettings
    lines: Sequence[str] = ()  # those known before anything stands in Redis
    folder: Path | None = None  # of the SQLite file, where the settings name none
    more: Mapping[str, MakePart] = field(default_factory=dict)  # what else works on the history, by name


class History:
    """Started once, stopped once."""

    def __init__(self, spec: HistorySpec) -> None:
        """Raises HistoryMisconfigured."""
        self._spec = spec
        self._db = open_history(database_url(spec.settings, spec.folder))
        self._parts: dict[str, Part] = {}
        self._ending = asyncio.Event()
        self._is_newer: HistoryIsNewer | None = None

    @property
    def address(self) -> str:
        """Where it is: what may be shown."""
        return self._db.engine.url.render_as_string(hide_password=True)

    def status(self) -> CollectorStatus:
        """How collecting does."""
        collector = self._parts.get("collector")
        return collector.status() if isinstance(collector, Collector) else CollectorStatus()

    def finish(self) -> None:
        """Make `run` write what stands in Redis, for a moment, and return."""
        self._ending.set()
        for part in self._parts.values():
            part.finish()

    async def run(self) -> None:
        """All of it, until told to finish or cancelled. Raises HistoryIsNewer."""
        makers: dict[str, MakePart] = {
            "collector": self._collector,
            "minutes": lambda db: CameraMinutes(db, self._spec.redis),
            "retention": lambda db: Retention(db, self._spec.settings),
            **self._spec.more,
        }
        tasks = [asyncio.create_task(self._keep(name, make), name=f"history-{name}") for name, make in makers.items()]
        try:
            await self._ending.wait()
            await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S - LAST_WORDS_S)
            await asyncio.to_thread(self._db.close)
        if self._is_newer is not None:
            raise self._is_newer

    def _collector(self, db: Database) -> Collector:
        return Collector(db, self._spec.settings, self._spec.redis, self._spec.lines)

    async def _keep(self, name: str, make: MakePart) -> None:
        rests = backoff_delays(FIRST_REST_S, LONGEST_REST_S)
        with log_context(history=name):
            while not self._ending.is_set():
                began_at = time.monotonic()
                part = self._parts[name] = make(self._db)
                try:
                    await part.run()
                except HistoryIsNewer as exc:  # nothing here can work with it
                    self._is_newer = exc
                    self.finish()
                except Exception:  # the top of one part: told in full, and the others go on
                    if time.monotonic() - began_at >= WELL_S:
                        rests = backoff_delays(FIRST_REST_S, LONGEST_REST_S)
                    rest_s = next(rests)
                    logger.exception("the history's %s broke, it begins anew in %.0f s", name, rest_s)
                    await is_set_within(self._ending, rest_s)
