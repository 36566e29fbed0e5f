"""One reader of a topic as a shard: its partitions' hand-overs, one batcher and one carrier. No Ray."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from pipeline.answers import BatchAnswer, Outcome
from pipeline.ingest.batcher import Batcher, Gathered
from pipeline.ingest.camera_state import CameraState
from pipeline.ingest.carrier import Carried, Carrier, CarrierSettings
from pipeline.ingest.figures import CameraFigures, CameraTask, Published
from pipeline.ingest.graph import Graph
from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.consumer import TopicConsumer
from pipeline.ingest.kafka.marks import TopicMarks
from pipeline.ingest.kafka.partition import Partition
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.ingest.numbering import StoredPlace, further
from pipeline.ingest.totals import TotalsTold
from pipeline.ingest.tracing import Tracing
from pipeline.observe.metrics import Metrics
from pipeline.sinks.errors import KeyRefused, SinkUnavailable
from stages.values import CameraId, CameraNotice, FrameBatch, Position

logger = logging.getLogger(__name__)

TICK_S = 0.5
LOOK_S = 5.0  # between two looks whether Redis still holds what was published
_LOST_FOR_GOOD = (Outcome.FAILED, Outcome.GIVEN_UP)


class TopicShard:
    """Reads a topic and sends its frames through the graph. All methods run on one event loop.

    `first`: among the readers of a topic, the one that reports cameras of which nothing has come yet.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        settings: TopicSettings,
        max_batch: int,
        carrier: CarrierSettings,
        graph: Graph,
        marks: TopicMarks,
        stored_place: Callable[[CameraId], Awaitable[StoredPlace | None]],
        metrics: Metrics,
        *,
        first: bool = True,
        tracing: Tracing | None = None,
    ) -> None:
        self.name = name
        self._stored_place = stored_place
        self._metrics = metrics
        self._totals = TotalsTold(metrics)
        self._first = first
        self._loop = asyncio.get_running_loop()
        self._batcher = Batcher(max_batch)
        self._carrier = Carrier(name, self._gather, graph, carrier, False, self._answered, metrics, tracing)
        self._cameras = TopicCameras(self._on_state, first=first)
        self._consumer = TopicConsumer(
            topic, settings, self._cameras, marks, self._places, self._opened, self._closed, self._in_flight
        )
        self._tasks: dict[CameraId, CameraTask] = {}
        self._published: dict[CameraId, Published] = {}
        self._published_to: dict[CameraId, Position] = {}
        self._under_way: Counter[str] = Counter()  # frames in the graph, by the source of their position
        self._current_from: dict[str, int] = {}  # source -> earlier batches hold frames of before it was opened
        self._notice_numbers: Counter[CameraId] = Counter()
        self._running: list[asyncio.Task[None]] = []
        self._is_stopping = False

    def start(self) -> None:
        """Begin carrying; reading begins with the first `apply`."""
        self._running = [asyncio.create_task(self._carrier.run()), asyncio.create_task(self._tick())]

    async def apply(self, tasks: Mapping[CameraId, CameraTask]) -> None:
        """Make the topic's cameras equal to `tasks`."""
        for gone in self._tasks.keys() - tasks.keys():
            self._totals.gone(self._cameras.status(gone))
            self._published_to.pop(gone, None)
        self._tasks = dict(tasks)
        self._cameras.apply({camera_id: task.paused for camera_id, task in tasks.items()})
        if len(self._running) == 2:
            self._running += [asyncio.create_task(self._consumer.run()), asyncio.create_task(self._look_after_store())]

    def carried(self) -> Carried:
        """What went through the graph."""
        return self._carrier.carried()

    def figures(self) -> list[CameraFigures]:
        """How the cameras do of which something came here; all of them at the first reader."""
        shown = set(self._tasks) if self._first else self._cameras.seen() & set(self._tasks)
        return [self._figures_of(camera_id) for camera_id in sorted(shown)]

    def ended(self) -> bool:
        """A topic never ends."""
        return False

    def failure(self) -> BaseException | None:
        """What ended one of the loops, if anything did: the shard is then useless."""
        ended = [t for t in self._running if t.done() and not t.cancelled()]
        return next((error for t in ended if (error := t.exception()) is not None), None)

    async def stop(self, timeout_s: float) -> None:
        """Stop reading, let what is under way land, keep how far it came; at most about `timeout_s` in all."""
        deadline = time.monotonic() + timeout_s
        carrying, ticking, *reading = self._running
        await self._consumer.hold(timeout_s / 3)
        carrying.cancel()
        ticking.cancel()
        await asyncio.gather(carrying, ticking, return_exceptions=True)
        self._is_stopping = True
        await self._carrier.drain(timeout_s / 3)
        for task in reading:  # which leaves the group, and keeps the marks
            task.cancel()
        if reading:
            await asyncio.wait(reading, timeout=max(0.5, deadline - time.monotonic()))
        with suppress(TimeoutError):  # brokers that do not answer are left as they are
            async with asyncio.timeout(max(0.5, deadline - time.monotonic())):
                await self._consumer.close()
        self._tell_metrics()

    # Frames on their way

    async def _gather(self) -> Gathered:
        gathered = await self._batcher.next_batch()
        self._under_way.update(frame.position.source for frame in gathered.frames)
        return gathered

    def _opened(self, partition: Partition) -> None:
        self._current_from[partition.source] = self._carrier.batches_made
        self._batcher.add(partition.identity.key, partition.handoff)

    def _closed(self, partition: Partition) -> None:
        self._batcher.remove(partition.identity.key)

    def _in_flight(self, partition: Partition) -> int:
        return self._under_way[partition.source]

    def _answered(self, batch: FrameBatch, answer: BatchAnswer) -> None:
        behind: set[str] = set()
        partitions = self._by_source()
        for frame in batch.frames:
            source = frame.position.source
            self._under_way[source] -= 1
            if batch.batch_no < self._current_from.get(source, 0):
                continue  # of before the partition was opened anew: it comes again
            its = answer.cameras.get(frame.camera_id)
            partition = partitions.get(source)
            if its is None or partition is None:
                continue
            if its.outcome is Outcome.BEHIND:
                behind.add(source)
            elif its.outcome is Outcome.PUBLISHED:
                partition.ledger.done(frame.position.major)
                partition.published(frame.camera_id, frame.position)
            elif its.outcome in _LOST_FOR_GOOD and not self._is_stopping:
                partition.ledger.done(frame.position.major)
        for camera_id, its in answer.cameras.items():
            if its.outcome is Outcome.PUBLISHED:
                self._published.setdefault(camera_id, Published()).add(its)
                if its.cursor is not None and camera_id in self._tasks:
                    self._published_to[camera_id] = further(self._published_to.get(camera_id), its.cursor)
        for source in behind:
            self._read_again(source)

    def _by_source(self) -> dict[str, Partition]:
        return {partition.source: partition for partition in self._consumer.partitions}

    # Redis holds less than was written

    def _read_again(self, source: str) -> None:
        partition = self._by_source().get(source)
        if partition is not None:
            self._current_from[source] = self._carrier.batches_made
            self._consumer.reread(partition.identity.partition)

    async def _look_after_store(self) -> None:
        """Now and then: whether what was published is still there. A camera that sends no more asks nobody."""
        while True:
            await asyncio.sleep(LOOK_S)
            before = dict(self._published_to)
            try:
                places = await self._places()
            except SinkUnavailable:
                continue
            for camera_id, position in before.items():
                if camera_id not in places:  # nobody can tell
                    continue
                place = places[camera_id]
                lacks = place is None or (place.source == position.source and place < position)
                if lacks and self._published_to.get(camera_id) == position:
                    self._published_to.pop(camera_id)
                    self._read_again(position.source)

    async def _places(self) -> dict[CameraId, Position | None]:
        """How far every camera of the topic is published; without those whose keys are refused, which hold up nobody.

        Raises SinkUnavailable.
        """
        found: dict[CameraId, Position | None] = {}
        for camera_id in list(self._tasks):
            with suppress(KeyRefused):  # its frames are answered so, which tells it
                stored = await self._stored_place(camera_id)
                found[camera_id] = None if stored is None else stored.position
        return found

    # What is told

    def _on_state(self, camera_id: CameraId, state: CameraState, reason: str) -> None:
        self._loop.call_soon_threadsafe(self._tell, camera_id, state, reason, time.time())

    def _tell(self, camera_id: CameraId, state: CameraState, reason: str, at: float) -> None:
        self._notice_numbers[camera_id] += 1
        number = self._notice_numbers[camera_id]
        logger.info("camera %s is %s: %s", camera_id, state, reason)
        # Nothing of it passes unseen: it lies in Kafka.
        self._batcher.notice(CameraNotice(camera_id, number, at, state.value, reason, seeing=True, epoch=0))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._tell_metrics()

    def _tell_metrics(self) -> None:
        for camera_id in self._cameras.seen() & set(self._tasks):
            self._totals.camera(self._cameras.status(camera_id))
        self._totals.carried(self._carrier.figures.dropped)
        self._metrics.batches_in_flight(self.name, self._carrier.in_flight)
        for camera_id, published in self._published.items():
            for latency_s in published.take_untold():
                self._metrics.frame_published(camera_id, latency_s)

    def _figures_of(self, camera_id: CameraId) -> CameraFigures:
        published = self._published.setdefault(camera_id, Published())
        return published.figures(self._cameras.status(camera_id), self._carrier.figures)
