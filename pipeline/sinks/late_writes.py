"""Storing what waited while Redis was away, in order and behind what is stored; what was overtaken is dropped."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipeline.sinks.errors import KeyRefused, SinkUnavailable
from pipeline.sinks.redis_streams import CameraWrite, RedisStreams, WriteOutcome, WriteStatus
from pipeline.sinks.spool import Loose, Owner, Spooled
from stages.values import Position

logger = logging.getLogger(__name__)

SUPERSEDED = "spool_superseded"
REFUSED = "track_failed"  # as where the same is refused at once
LOST_BY_REDIS = "lost_by_redis"  # it was stored, and Redis came back without it
LIVE = "live|"  # how cursors begin whose frames cannot be asked for again


def is_live(cursor: str | None) -> bool:
    """True for a cursor of frames that cannot be asked for again."""
    return cursor is not None and cursor.startswith(LIVE)


def rebased(write: CameraWrite, outcome: WriteOutcome) -> CameraWrite | None:
    """The write built on what is stored, where that is what Redis was left with when it lost its tail; else None.

    A live camera's stored cursor lies before the one it built on only if Redis lost what came between, or was never
    given it: nobody else wrote. So the write may go behind it, by the same compare-and-set.
    """
    if outcome.status is not WriteStatus.CONFLICT or not (is_live(write.new) and is_live(write.prev)):
        return None
    stored = outcome.stored
    if stored is None:
        return replace(write, prev=None)
    if not is_live(stored) or stored >= (write.prev or ""):  # live cursors sort as text
        return None
    return replace(write, prev=stored)


def lost_tail(built_on: str, stored: str | None) -> int:
    """Frames of the newest epoch that Redis lost: those between the stored cursor and the one a write built on.

    Those of an epoch before it are in no count that could be told: how many it had is not known.
    """
    newest = Position.decode(built_on)
    last = Position.decode(stored) if stored is not None else None
    if last is not None and last.major == newest.major:
        return newest.minor - last.minor
    return newest.minor + 1


@dataclass(slots=True)
class Fate:
    """What became of entries that waited."""

    done: list[int] = field(default_factory=list)  # ids that wait no longer
    stored: Counter[Owner] = field(default_factory=Counter)  # frames
    lost: dict[Owner, Counter[str]] = field(default_factory=dict)  # frames, by reason
    tail: dict[Owner, int] = field(default_factory=dict)  # frames that Redis lacks before the first one built anew
    away: set[Owner] = field(default_factory=set)  # whose keys cannot be written now
    unreachable: bool = False  # the server itself

    def lose(self, spooled: Spooled, reason: str) -> None:
        """Let it go."""
        self.done.append(spooled.id)
        self.lost.setdefault(spooled.entry.owner, Counter())[reason] += spooled.entry.frames


async def store(redis: RedisStreams, waiting: Sequence[Spooled]) -> Fate:
    """Write these in order, in as few round trips as that takes. Never raises for Redis: the fate tells."""
    fate = Fate()
    try:
        for run in _runs(waiting):
            if isinstance(run[0].entry.what, Loose):
                await _append(redis, run[0], run[0].entry.what, fate)
            else:
                await _write(redis, run, fate)
    except SinkUnavailable as exc:
        logger.debug("what waits on disk waits on: %s", exc)
        fate.unreachable = True
    return fate


def _runs(waiting: Sequence[Spooled]) -> Iterator[list[Spooled]]:
    """Neighbours that may share a round trip: writes do, loose messages go one at a time."""
    run: list[Spooled] = []
    for each in waiting:
        if isinstance(each.entry.what, Loose):
            if run:
                yield run
            yield [each]
            run = []
        else:
            run.append(each)
    if run:
        yield run


async def _append(redis: RedisStreams, spooled: Spooled, loose: Loose, fate: Fate) -> None:
    if spooled.entry.owner in fate.away:
        return
    try:
        await redis.append(loose.camera, loose.line, loose.events, loose.inspections, loose.checkpoint)
    except KeyRefused as exc:
        messages = len(loose.events) + len(loose.inspections)
        logger.error("camera %s: of %d events and verdicts some are lost: %s", loose.camera, messages, exc)  # noqa: TRY400 - Redis said all
    fate.done.append(spooled.id)


async def _write(redis: RedisStreams, run: Sequence[Spooled], fate: Fate) -> None:
    """Again where an entry has to be built on something else: those behind it were refused with it."""
    ours: dict[Owner, set[str]] = {}
    for each in run:
        ours.setdefault(each.entry.owner, set()).add(_write_of(each).new)
    left = [(each, _write_of(each)) for each in run if each.entry.owner not in fate.away]
    while left:
        outcomes = await redis.write([write for _, write in left])
        again: dict[Owner, list[tuple[Spooled, CameraWrite]]] = {}
        for (each, write), outcome in zip(left, outcomes, strict=True):
            owner = each.entry.owner
            if owner in again:
                again[owner].append((each, write))
            elif owner not in fate.away:
                retry = _settle(each, write, outcome, ours[owner], fate)
                if retry is not None:
                    again[owner] = [(each, retry)]
        left = sorted((pair for pairs in again.values() for pair in pairs), key=lambda pair: pair[0].id)


def _settle(each: Spooled, write: CameraWrite, outcome: WriteOutcome, ours: set[str], fate: Fate) -> CameraWrite | None:
    """Note what became of one entry; what to try instead where it is to be built on what is stored."""
    owner = each.entry.owner
    if outcome.status is WriteStatus.AWAY:
        fate.away.add(owner)
    elif outcome.status is WriteStatus.REFUSED:
        logger.error("camera %s: Redis refused its results, they are lost: %s", write.camera, outcome.error)
        fate.lose(each, REFUSED)
    elif outcome.status is WriteStatus.WRITTEN or (outcome.status is WriteStatus.ALREADY and outcome.stored in ours):
        fate.done.append(each.id)
        fate.stored[owner] += each.entry.frames
    elif (retry := rebased(write, outcome)) is not None:
        fate.tail.setdefault(owner, lost_tail(write.prev or "", outcome.stored))
        return _going_on(retry, outcome)
    elif (retry := _behind(write, outcome, ours)) is not None:
        return _going_on(retry, outcome)
    else:
        fate.lose(each, SUPERSEDED)
    return None


def _going_on(retry: CameraWrite, outcome: WriteOutcome) -> CameraWrite:
    logger.warning("camera %s: goes on behind what Redis holds: %s", retry.camera, outcome.stored or "nothing")
    return retry


def _behind(write: CameraWrite, outcome: WriteOutcome, ours: set[str]) -> CameraWrite | None:
    """The write behind what it passed here: an append that hung as it was committed, and was given up, had landed."""
    stored = outcome.stored
    if outcome.status is not WriteStatus.CONFLICT or stored not in ours or not is_live(write.new):
        return None
    return replace(write, prev=stored) if stored < write.new else None


def _write_of(spooled: Spooled) -> CameraWrite:
    assert isinstance(spooled.entry.what, CameraWrite)  # noqa: S101 - loose ones are in runs of their own
    return spooled.entry.what
