"""Carries a shard's batches through the graph: overlapping in detect, strictly one after another in track."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import Field

from pipeline.answers import BatchAnswer, CameraAnswer, Gap, Outcome
from pipeline.ingest.backoff import backoff_delays
from pipeline.ingest.batcher import Gathered
from pipeline.ingest.graph import BatchRefused, Graph, GraphUnavailable
from pipeline.ingest.tracing import Tracing
from pipeline.observe.metrics import Metrics, NullMeter
from pipeline.waiting import is_set_within
from stages.settings import Settings
from stages.values import CameraId, CameraNotice, Detected, Frame, FrameBatch

logger = logging.getLogger(__name__)

_MOST_UNHEARD = 64  # states of cameras that wait to be told; the oldest go

_T = TypeVar("_T")


class CarrierSettings(Settings):
    """How many batches are under way, and how long a batch is worth another try."""

    max_in_flight: int = Field(
        2,
        ge=1,
        le=16,
        description="Batches of one shard in the graph at once. More hides latency of slow stages; too many make "
        "frames old before they are tracked.",
    )
    live_give_up_s: float = Field(
        20.0,
        gt=0,
        description="Seconds a live batch is tried again while the graph is away. Longer loses fewer frames over a "
        "restart; shorter is back at the present sooner.",
    )
    refused_tries: int = Field(
        2,
        ge=1,
        description="Times a batch on which a stage raised is sent in all, before its frames are published as failed.",
    )


@dataclass(slots=True)
class CarrierFigures:
    """What went through, since the start."""

    batches: int = 0  # that held frames: what cameras have to say goes alone where nothing else is ready
    frames: int = 0  # in those batches
    frames_published: Counter[CameraId] = field(default_factory=Counter)
    dropped: dict[CameraId, Counter[str]] = field(default_factory=dict)
    dropped_late: dict[CameraId, Counter[str]] = field(default_factory=dict)  # after they had waited on disk
    waiting: dict[CameraId, int] = field(default_factory=dict)  # frames on disk, by the last answer

    def drop(self, frame: Frame, reason: str) -> None:
        """Count a frame that left the road."""
        self.dropped.setdefault(frame.camera_id, Counter())[reason] += 1

    def note(self, camera_id: CameraId, its: CameraAnswer) -> None:
        """What an answer says was published, now or late, and what waits."""
        self.frames_published[camera_id] += its.published + its.late
        if its.late_lost:
            self.dropped_late.setdefault(camera_id, Counter()).update(its.late_lost)
        self.waiting[camera_id] = its.waiting


@dataclass(frozen=True, slots=True)
class Carried:
    """What a shard has carried since its start, and what is under way."""

    batches: int = 0  # that held frames
    frames: int = 0
    in_flight: int = 0  # batches inside the graph now


class Carrier:
    """The one place where a shard's order is kept and a failed batch is sent again or given up.

    `gather` gives the next batch (Batcher.next_batch); `on_answer` is told each batch's fate.
    """

    def __init__(
        self,
        shard: str,
        gather: Callable[[], Awaitable[Gathered]],
        graph: Graph,
        settings: CarrierSettings,
        live: bool,
        on_answer: Callable[[FrameBatch, BatchAnswer], None] = lambda batch, answer: None,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._shard = shard
        self._gather = gather
        self._graph = graph
        self._settings = settings
        self._live = live
        self._on_answer = on_answer
        self._metrics = metrics or Metrics(NullMeter())
        self._tracing = tracing or Tracing(shard, sample=0.0)
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._turn: asyncio.Event | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.batches_made = 0  # the number of the next batch
        self._lost: set[int] = set()  # numbers of batches under way that were given up: each is counted once
        self._untold: dict[CameraId, Counter[str]] = {}  # frames lost behind the hand-over, until a frame tells them
        self._excused: dict[
            CameraId, Gap
        ] = {}  # frames lost for good behind the last published: nobody is to miss them
        self._unheard: deque[CameraNotice] = deque(maxlen=_MOST_UNHEARD)  # of batches that were given up
        self.figures = CarrierFigures()

    @property
    def in_flight(self) -> int:
        """Batches inside the graph now."""
        return len(self._under_way)

    def carried(self) -> Carried:
        """How full batches were, and how many are under way."""
        return Carried(self.figures.batches, self.figures.frames, self.in_flight)

    async def run(self) -> None:
        """Carries batches until cancelled, or until `gather` raises. An unforeseen error costs the batch it befell."""
        while True:
            await self._slots.acquire()
            # The batch is filled only now that it can go: the freshest frames at dispatch.
            gathered = await self._gather()
            frames = self._with_losses(gathered.frames)
            notices = (*self._unheard, *gathered.notices)
            self._unheard.clear()
            trace = self._tracing.begin(self.batches_made) if frames else None
            batch = FrameBatch(self._shard, self.batches_made, frames, gathered.ends, notices, trace)
            self.batches_made += 1
            before, self._turn = self._turn, asyncio.Event()
            task = asyncio.create_task(self._carry(batch, before, self._turn))
            self._under_way.add(task)
            task.add_done_callback(self._landed)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is under way, at most `timeout_s`; what has not landed by then is left."""
        self._stopping.set()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=timeout_s)
            for task in late:
                task.cancel()

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("shard %s: the fate of a batch could not be told", self._shard, exc_info=error)

    async def _carry(self, batch: FrameBatch, before: asyncio.Event | None, mine: asyncio.Event) -> None:
        try:
            self._note(batch, await self._fate(batch, before))
        finally:
            self._lost.discard(batch.batch_no)
            mine.set()
            self._graph.forget(batch)

    async def _fate(self, batch: FrameBatch, before: asyncio.Event | None) -> BatchAnswer:
        """What became of it; it lands in its turn whatever befalls it, for the next batches and its ends wait."""
        oldest_s = _oldest_s(batch, time.time())
        try:
            detected = self._tracing.answered(await self._detect(batch) if batch.frames else None)
            await _turn(before)
            answer = await self._track(batch, self._tracing.has_turn(detected))
            if batch.frames:
                self._metrics.batch_carried(self._shard, len(batch), oldest_s)
        except Exception as exc:  # the top of this batch's road
            logger.exception("shard %s: batch %d was lost to an unforeseen error", self._shard, batch.batch_no)
            self._count_lost(batch, exc)
            await _turn(before)
            return _all_given_up(batch)
        return answer

    async def _detect(self, batch: FrameBatch) -> Detected:
        return await self._persist(
            batch, lambda: self._graph.detect(batch), lambda reason: self._graph.failed(batch, reason)
        )

    async def _track(self, batch: FrameBatch, detected: Detected | None) -> BatchAnswer:
        """Track's answer; where a camera's part did not land it is sent again, as its kind of source demands."""
        delays = _delays()
        deadline = time.monotonic() + self._settings.live_give_up_s
        while True:
            answer = await self._persist(
                batch,
                lambda: self._graph.track(batch, detected, self._excused_in(batch)),
                lambda _: _all_given_up(batch),
            )
            again = [c for c, a in answer.cameras.items() if self._worth_again(a)]
            if not again or self._given_up(deadline):
                return answer
            await self._pause(next(delays))

    def _worth_again(self, answer: CameraAnswer) -> bool:
        # Live frames go on after a conflict or without the store, counted; replayable ones wait.
        return not self._live and answer.outcome in (Outcome.CONFLICT, Outcome.UNAVAILABLE)

    async def _persist(self, batch: FrameBatch, call: Callable[[], Awaitable[_T]], give_up: Callable[[str], _T]) -> _T:
        delays = _delays()
        deadline = time.monotonic() + self._settings.live_give_up_s
        refused = 0
        while True:
            try:
                return await call()
            except BatchRefused as exc:
                refused += 1
                if refused >= self._settings.refused_tries:
                    logger.exception("shard %s: batch %d given up, a stage raised", self._shard, batch.batch_no)
                    self._count_lost(batch, exc)
                    return give_up(str(exc))
            except GraphUnavailable as exc:
                logger.warning("shard %s: batch %d waits for the graph: %s", self._shard, batch.batch_no, exc)
                if self._given_up(deadline):
                    self._count_lost(batch, exc)
                    return give_up(str(exc))
            await self._pause(next(delays))

    def _given_up(self, deadline: float) -> bool:
        return self._stopping.is_set() or (self._live and time.monotonic() > deadline)

    def _count_lost(self, batch: FrameBatch, error: Exception) -> None:
        if batch.batch_no not in self._lost:
            self._lost.add(batch.batch_no)
            self._metrics.batch_lost(self._shard, type(error).__name__)

    async def _pause(self, delay_s: float) -> None:
        """Sleep, but not through a stop."""
        await is_set_within(self._stopping, delay_s)

    def _note(self, batch: FrameBatch, answer: BatchAnswer) -> None:
        if batch.frames:
            self.figures.batches += 1
            self.figures.frames += len(batch)
        for camera_id, its in answer.cameras.items():
            if its.outcome is not Outcome.GIVEN_UP:  # which nobody in the graph answered
                self.figures.note(camera_id, its)
        for frame in batch.frames:
            its = answer.cameras.get(frame.camera_id, _GIVEN_UP)
            if its.outcome in (Outcome.PUBLISHED, Outcome.SPOOLED):
                self._excused.pop(frame.camera_id, None)
            elif not self._comes_again(its):
                self._lose(frame, its)
        unheard = {c for c, its in answer.cameras.items() if its.outcome in (Outcome.GIVEN_UP, Outcome.BEHIND)}
        self._unheard.extend(notice for notice in batch.notices if notice.camera_id in unheard)
        self._on_answer(batch, answer)

    def _comes_again(self, its: CameraAnswer) -> bool:
        """True where its frames are read again: at once, or by whoever goes on when this one has stopped."""
        return its.outcome is Outcome.BEHIND or (not self._live and self._stopping.is_set())

    def _lose(self, frame: Frame, its: CameraAnswer) -> None:
        reason = _REASONS[its.outcome]
        self.figures.drop(frame, reason)
        if not self._live:
            before = self._excused.get(frame.camera_id)
            goes_on = before is not None and before.to == frame.follows
            self._excused[frame.camera_id] = Gap(before.after if before and goes_on else frame.follows, frame.position)
        if not its.keeps_count:
            # What the frame itself had to tell of frames before it is lost with it, so it is told again.
            untold = self._untold.setdefault(frame.camera_id, Counter())
            untold.update({reason: 1})
            untold.update(frame.dropped)

    def _excused_in(self, batch: FrameBatch) -> dict[CameraId, Gap]:
        cameras = {f.camera_id for f in batch.frames} | {e.camera_id for e in batch.ends}
        return {camera_id: self._excused[camera_id] for camera_id in cameras & self._excused.keys()}

    def _with_losses(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """The same frames; the first of each camera tells what was lost of it and not told yet."""
        return tuple(self._with_loss(frame) for frame in frames)

    def _with_loss(self, frame: Frame) -> Frame:
        untold = self._untold.pop(frame.camera_id, None)
        if untold is None:
            return frame
        untold.update(frame.dropped)
        return replace(frame, dropped=dict(untold))


_GIVEN_UP = CameraAnswer(Outcome.GIVEN_UP)
_REASONS = {
    Outcome.CONFLICT: "superseded",
    Outcome.UNAVAILABLE: "sink_unavailable",
    Outcome.FAILED: "track_failed",
    Outcome.GIVEN_UP: "graph_unavailable",
}


def _all_given_up(batch: FrameBatch) -> BatchAnswer:
    cameras = {f.camera_id for f in batch.frames} | {n.camera_id for n in batch.notices}
    cameras |= {e.camera_id for e in batch.ends}
    return BatchAnswer(dict.fromkeys(cameras, _GIVEN_UP))


async def _turn(before: asyncio.Event | None) -> None:
    """Wait until the batch before has landed."""
    if before is not None:
        await before.wait()


def _oldest_s(batch: FrameBatch, now: float) -> float | None:
    """Age of its oldest frame since it was decoded; a frame nobody stamped tells nothing."""
    stamps = [frame.received_at for frame in batch.frames if frame.received_at > 0]
    return max(0.0, now - min(stamps)) if stamps else None


def _delays() -> Iterator[float]:
    return backoff_delays(first_s=0.05, most_s=2.0)
