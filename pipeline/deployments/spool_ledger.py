"""What becomes of each camera's frames on disk: counted, and told when they begin to wait and when none do any more."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.observe.metrics import Metrics
from pipeline.sinks.late_writes import LOST_BY_REDIS, Fate
from pipeline.sinks.spool import Entry, Owner, Shed, Spooled
from stages.results.messages import ResultContext, camera_event_message, rfc3339
from stages.values import Event, LineId

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Absence:
    """What one camera has had on disk since it began to wait."""

    since: float  # Unix seconds
    context: Sequence[object] = ()
    stored: int = 0  # frames
    lost: Counter[str] = field(default_factory=Counter)  # frames, by reason
    is_ours: bool = False  # it began here: the first entry is built on what Redis had said it stored


@dataclass(slots=True)
class News:
    """What became of a camera's frames on disk since it was last asked, and how many wait now."""

    stored: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    waiting: int = 0


class Ledger:
    """The books of one replica's spools."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._absences: dict[Owner, Absence] = {}
        self._news: dict[Owner, News] = {}

    def owners(self) -> list[Owner]:
        """Cameras whose waiting is not told to be over."""
        return list(self._absences)

    def with_beginnings(self, entries: Sequence[Entry], now: float, aside: str | None) -> list[Entry]:
        """The same; each camera's first says that it begins to wait, and which damaged file was set aside before."""
        data = {"since": rfc3339(now)} | ({} if aside is None else {"set_aside": aside})
        told, begun = [], set(self._absences)
        for entry in entries:
            if entry.owner not in begun and entry.context:
                begun.add(entry.owner)
                word = _event(entry.owner, entry.context, now, "spooling", data)
                entry = replace(entry, what=replace(entry.what, events=[word, *entry.what.events]))
            told.append(entry)
        return told

    def waits(self, owner: Owner, since: float, context: Sequence[object] = (), *, is_ours: bool = False) -> None:
        """Something of this camera lies on disk; `is_ours`: and was put there just now."""
        absence = self._absences.setdefault(owner, Absence(since, is_ours=is_ours))
        absence.context = context or absence.context

    def peeked(self, waiting: Sequence[Spooled]) -> None:
        """These lie on disk, whoever put them there."""
        for each in waiting:
            self.waits(each.entry.owner, each.at, each.entry.context)

    def settle(self, fate: Fate) -> None:
        """What became of entries that were to be stored."""
        for owner, frames in fate.stored.items():
            self._absence(owner).stored += frames
            self._news.setdefault(owner, News()).stored += frames
            self._metrics.frames_drained(owner[1], frames)
        for owner, reasons in fate.lost.items():
            for reason, frames in reasons.items():
                self.lose(owner, reason, frames)
        for owner, frames in fate.tail.items():
            absence = self._absence(owner)
            if absence.is_ours and not absence.lost:  # else some of them are what the disk let go
                self.lose(owner, LOST_BY_REDIS, frames)

    def shed(self, shed: Mapping[Owner, Shed], reason: str) -> None:
        """What had to go."""
        for owner, its in shed.items():
            self.lose(owner, reason, its.frames)
            if gone := its.events + its.verdicts:
                logger.error("camera %s: %d events and verdicts lost that waited on disk: %s", owner[1], gone, reason)

    def lose(self, owner: Owner, reason: str, frames: int) -> None:
        """Frames that waited are lost."""
        self._absence(owner).lost[reason] += frames
        self._news.setdefault(owner, News()).lost[reason] += frames
        self._metrics.frames_dropped(owner[1], reason, frames)

    def news(self, owner: Owner) -> News | None:
        """What became of its frames, if anything did; told once."""
        return self._news.pop(owner, None)

    def take(self, owner: Owner) -> Absence:
        """Its waiting is over; `put_back` where that could not be told."""
        return self._absences.pop(owner)

    def put_back(self, owner: Owner, absence: Absence) -> None:
        """With what came meanwhile."""
        later = self._absences.get(owner, Absence(absence.since))
        lost = absence.lost + later.lost
        context = later.context or absence.context
        self._absences[owner] = Absence(absence.since, context, absence.stored + later.stored, lost, absence.is_ours)

    def last_word(self, owner: Owner, absence: Absence) -> bytes | None:
        """The event that says what it came to; None where there is nothing to say."""
        if not absence.context or not (absence.stored or absence.lost):
            return None
        since = rfc3339(absence.since)
        data = {"since": since, "frames_waited": absence.stored, "frames_dropped": dict(absence.lost)}
        return _event(owner, absence.context, time.time(), "spool_drained", data)

    def _absence(self, owner: Owner) -> Absence:
        return self._absences.setdefault(owner, Absence(time.time()))


def _event(owner: Owner, context: Sequence[object], now: float, what: str, data: Mapping[str, object]) -> bytes:
    line, camera = owner
    event = Event(f"{camera}/{now:.3f}/{what}", "system", now, {"what": what, **data})
    its = ResultContext(LineId(line), *context[1:])  # type: ignore[arg-type]  # they were taken from one
    return camera_event_message(event, camera, its)
