"""Streams that lost what a registered relay had not read: told in the log and as an event, now and then."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from pipeline.sinks.redis_streams import ReaderCut
from stages.results.messages import rfc3339
from stages.values import CameraId, Event

logger = logging.getLogger(__name__)

EVERY_S = 60.0


class ReaderCuts:
    """Of one camera. While a stream stands at its limit each write cuts it: one event a minute tells how often."""

    def __init__(self, camera_id: CameraId) -> None:
        self._camera_id = camera_id
        self._told_at: dict[ReaderCut, float] = {}
        self._untold: Counter[ReaderCut] = Counter()

    def events(self, cuts: Iterable[ReaderCut], now: float) -> list[Event]:
        """What is to be said now, Unix seconds."""
        self._untold.update(cuts)
        due = [cut for cut in self._untold if now - self._told_at.get(cut, 0.0) >= EVERY_S]
        return [self._event(cut, self._untold.pop(cut), now) for cut in due]

    def _event(self, cut: ReaderCut, writes: int, now: float) -> Event:
        logger.error(
            "stream %s is full: entries that %s has not read are deleted; see that it runs, or `rayline relays forget`",
            cut.stream,
            cut.group,
        )
        since, self._told_at[cut] = self._told_at.get(cut, now), now
        return Event(
            event_id=f"{self._camera_id}/{now:.3f}/relay_cut/{cut.stream}",
            kind="system",
            at=now,
            data={
                "what": "relay_cut",
                "stream": cut.stream,
                "group": cut.group,
                "writes": writes,
                "since": rfc3339(since),
            },
        )
