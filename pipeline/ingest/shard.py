"""A shard: a few cameras, their hand-overs, one batcher and one carrier. No Ray; the actor only carries it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from pipeline.answers import BatchAnswer, Outcome
from pipeline.ingest.backoff import backoff_delays
from pipeline.ingest.batcher import Batcher, Gathered
from pipeline.ingest.camera import Camera, SourceMaker, make_handoff
from pipeline.ingest.camera_state import CameraState
from pipeline.ingest.carrier import Carried, Carrier, CarrierSettings
from pipeline.ingest.figures import CameraFigures, CameraTask, Published
from pipeline.ingest.graph import Graph
from pipeline.ingest.numbering import StoredPlace, further
from pipeline.ingest.totals import TotalsTold
from pipeline.ingest.tracing import Tracing
from pipeline.ingest.turns import Turns
from pipeline.observe.metrics import Metrics
from pipeline.sinks.errors import KeyRefused, SinkUnavailable
from stages.values import CameraId, CameraNotice, EndOfStream, FrameBatch, Position

logger = logging.getLogger(__name__)

TICK_S = 0.5
LOOK_S = 5.0  # between two looks whether Redis still holds what was published
END_S = 5.0  # longest wait for the end of a camera's run before the next one begins


class Shard:
    """Reads its cameras and sends their frames through the graph. All methods run on one event loop."""

    def __init__(
        self,
        name: str,
        live: bool,
        max_batch: int,
        carrier: CarrierSettings,
        graph: Graph,
        stored_place: Callable[[CameraId], Awaitable[StoredPlace | None]],
        metrics: Metrics,
        tracing: Tracing | None = None,
    ) -> None:
        self.name = name
        self._live = live
        self._stored_place = stored_place
        self._metrics = metrics
        self._totals = TotalsTold(metrics)
        self._batcher = Batcher(max_batch)
        self._carrier = Carrier(name, self._gather, graph, carrier, live, self._answered, metrics, tracing)
        self._cameras: dict[CameraId, Camera] = {}
        self._tasks: dict[CameraId, CameraTask] = {}
        self._published: dict[CameraId, Published] = {}
        self._under_way: set[CameraId] = set()  # a run began and its end has not come back from track
        self._ends: dict[CameraId, EndOfStream] = {}  # of these runs, once it was gathered; an earlier run's is no end
        self._end_landed = asyncio.Event()
        self._applying = asyncio.Lock()
        self._is_applied = False  # False while a camera may be missing: on its way out and in again, or not added
        self._notice_numbers: dict[CameraId, int] = {}
        self._turns = Turns(name)
        self._runs: Counter[CameraId] = Counter()  # a camera made anew speaks under a new number
        self._published_to: dict[CameraId, Position] = {}  # of sources that can be read again
        self._current_from: dict[CameraId, int] = {}  # batches before that one hold frames of a run that was broken off
        self._rereading: dict[CameraId, asyncio.Task[None]] = {}
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin carrying; cameras come with `apply`."""
        self._running = [asyncio.create_task(self._carrier.run()), asyncio.create_task(self._tick())]
        if not self._live:
            self._running.append(asyncio.create_task(self._look_after_store()))

    async def apply(self, tasks: Mapping[CameraId, CameraTask]) -> None:
        """Make what runs equal to `tasks`; cameras whose task did not change are not touched, nor wait for others."""
        async with self._applying:  # a caller that lost patience calls again while the first call still works
            self._is_applied = False
            gone = self._cameras.keys() - tasks.keys()
            # All to their end before an error is told: a camera still being added would be added again beside itself.
            results = await asyncio.gather(
                *(self._remove(camera_id) for camera_id in gone),
                *(self._apply_one(camera_id, task) for camera_id, task in tasks.items()),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            self._is_applied = True

    async def _apply_one(self, camera_id: CameraId, task: CameraTask) -> None:
        before = self._tasks.get(camera_id)
        if before is not None and (before.settings, before.restart) != (task.settings, task.restart):
            await self._remove(camera_id)
        if camera_id not in self._cameras:
            await self._add(camera_id, task)
        elif before is not None and before.paused != task.paused:
            camera = self._cameras[camera_id]
            (camera.pause if task.paused else camera.resume)()
        self._tasks[camera_id] = task

    def carried(self) -> Carried:
        """What went through the graph."""
        return self._carrier.carried()

    def figures(self) -> list[CameraFigures]:
        """How every camera does."""
        return [self._figures_of(camera_id) for camera_id in self._cameras]

    def ended(self) -> bool:
        """True when no camera here will ever give another frame and all that came was carried."""
        return self._is_applied and bool(self._cameras) and all(map(self._is_over, self._cameras))

    async def stop(self, timeout_s: float) -> None:
        """Stop reading, let what is under way land, and let go; at most about `timeout_s` in all."""
        deadline = time.monotonic() + timeout_s
        stopped = set(self._cameras)
        await asyncio.gather(*(self._remove(camera_id, timeout_s / 3) for camera_id in stopped))
        await self._carried(stopped, timeout_s / 3)
        running = [*self._running, *self._rereading.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._carrier.drain(max(0.1, deadline - time.monotonic()))
        self._tell_metrics()

    async def _carried(self, cameras: set[CameraId], timeout_s: float) -> None:
        """Wait until the ends of these have landed, at most `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not all(self._is_over(camera_id) for camera_id in cameras):
                    self._end_landed.clear()
                    await self._end_landed.wait()

    def _is_over(self, camera_id: CameraId) -> bool:
        return camera_id not in self._under_way

    def failure(self) -> BaseException | None:
        """What ended the carrier or the watchdog, if anything did: the shard is then useless."""
        ended = [t for t in self._running if t.done() and not t.cancelled()]
        return next((error for t in ended if (error := t.exception()) is not None), None)

    async def _add(self, camera_id: CameraId, task: CameraTask) -> None:
        # What the run before it left is carried first: the batcher keeps one hand-over per camera.
        await self._carried({camera_id}, END_S)
        if not self._is_over(camera_id):
            logger.warning("camera %s: the end of its last run did not land in %.0f s", camera_id, END_S)
            self._under_way.discard(camera_id)
        run_id = None if task.settings.resume else task.run_id or None
        self._begin(camera_id, task, await self._stored_place(camera_id), run_id)

    def _begin(self, camera_id: CameraId, task: CameraTask, stored: StoredPlace | None, run_id: str | None) -> None:
        handoff = make_handoff(task.settings)
        loop = asyncio.get_running_loop()
        self._runs[camera_id] += 1
        run = self._runs[camera_id]

        def on_state(camera: CameraId, state: CameraState, reason: str) -> None:
            # Called on whichever thread moved the camera; the notice is made on the loop, in order.
            loop.call_soon_threadsafe(self._tell, camera, run, state, reason, time.time())

        open_source = SourceMaker(self._turns.of(camera_id))
        camera = Camera(
            task.settings, handoff, open_source=open_source, on_state=on_state, stored=stored, run_id=run_id
        )
        self._cameras[camera_id] = camera
        self._under_way.add(camera_id)
        self._ends.pop(camera_id, None)
        self._published.setdefault(camera_id, Published())
        self._batcher.add(camera_id, handoff)
        (camera.pause if task.paused else camera.start)()  # paused, it starts with `resume`

    # Redis holds less than was written: it lost its tail, or is another one

    async def _look_after_store(self) -> None:
        """Now and then: whether what was published is still there. A camera that gives no more frames asks nobody."""
        while True:
            await asyncio.sleep(LOOK_S)
            for camera_id, published_to in list(self._published_to.items()):
                try:
                    stored = await self._stored_place(camera_id)
                except KeyRefused:  # its own affair: the others are looked at
                    continue
                except SinkUnavailable:
                    break
                if self._published_to.get(camera_id) == published_to and _lacks(stored, published_to):
                    self._reread(camera_id)

    def _reread(self, camera_id: CameraId) -> None:
        """Have the camera read again from where Redis stands; once, however many answers ask for it."""
        if camera_id in self._tasks and camera_id not in self._rereading:
            task = self._rereading[camera_id] = asyncio.create_task(self._begin_again(camera_id))
            task.add_done_callback(lambda _: self._rereading.pop(camera_id, None))

    async def _begin_again(self, camera_id: CameraId) -> None:
        delays = backoff_delays(first_s=0.1, most_s=2.0)
        while True:
            try:
                async with self._applying:
                    stored = await self._stored_place(camera_id)
                    before, task = self._cameras.get(camera_id), self._tasks.get(camera_id)
                    if before is None or task is None:
                        return
                    where = "its beginning" if stored is None else f"behind {stored.position.encode()}"
                    logger.warning("camera %s: Redis lost frames of it; it is read again from %s", camera_id, where)
                    self._published_to.pop(camera_id, None)
                    self._current_from[camera_id] = self._carrier.batches_made
                    self._begin(camera_id, task, stored, before.run_id)
                    self._totals.gone(before.status())
                    await asyncio.to_thread(before.abandon, 5.0)
            except SinkUnavailable as exc:
                logger.warning("camera %s: where it stands cannot be asked: %s", camera_id, exc)
                await asyncio.sleep(next(delays))
            else:
                return

    async def _remove(self, camera_id: CameraId, timeout_s: float = 5.0) -> None:
        """Stop the camera; the batcher carries what it left and forgets it at its end."""
        camera = self._cameras.pop(camera_id)
        self._tasks.pop(camera_id, None)
        self._turns.give_back(camera_id)
        self._published_to.pop(camera_id, None)
        await asyncio.to_thread(camera.stop, timeout_s)
        self._totals.gone(camera.status())

    def _tell(self, camera_id: CameraId, run: int, state: CameraState, reason: str, at: float) -> None:
        if run != self._runs[camera_id]:  # one that was made anew says nothing more
            return
        number = self._notice_numbers[camera_id] = self._notice_numbers.get(camera_id, 0) + 1
        camera = self._cameras.get(camera_id)
        epoch = camera.status().epoch if camera is not None else 0
        seeing = state in (CameraState.RUNNING, CameraState.ENDED)  # behind an end nothing passes unseen
        self._batcher.notice(CameraNotice(camera_id, number, at, state.value, reason, seeing, epoch))

    async def _gather(self) -> Gathered:
        gathered = await self._batcher.next_batch()
        self._ends.update({end.camera_id: end for end in gathered.ends})
        return gathered

    async def _tick(self) -> None:
        """The watchdog of all cameras, outside their decode threads."""
        while True:
            await asyncio.sleep(TICK_S)
            for camera in self._cameras.values():
                camera.tick()
            self._tell_metrics()

    def _tell_metrics(self) -> None:
        for camera in self._cameras.values():
            self._totals.camera(camera.status())
        self._totals.carried(self._carrier.figures.dropped)
        self._metrics.batches_in_flight(self.name, self._carrier.in_flight)
        for camera_id, published in self._published.items():
            for latency_s in published.take_untold():
                self._metrics.frame_published(camera_id, latency_s)

    def _answered(self, batch: FrameBatch, answer: BatchAnswer) -> None:
        behind = {c for c, its in answer.cameras.items() if its.outcome is Outcome.BEHIND}
        for camera_id in behind:
            if batch.batch_no >= self._current_from.get(camera_id, 0):
                self._reread(camera_id)
        for end in batch.ends:
            if self._ends.get(end.camera_id) is end and end.camera_id not in behind:
                del self._ends[end.camera_id]
                self._under_way.discard(end.camera_id)
                self._end_landed.set()
        for camera_id, its in answer.cameras.items():
            if its.outcome in (Outcome.PUBLISHED, Outcome.SPOOLED) and camera_id in self._published:
                self._published[camera_id].add(its)
                if not self._live and its.cursor is not None:
                    self._published_to[camera_id] = further(self._published_to.get(camera_id), its.cursor)

    def _figures_of(self, camera_id: CameraId) -> CameraFigures:
        return self._published[camera_id].figures(self._cameras[camera_id].status(), self._carrier.figures)


def _lacks(stored: StoredPlace | None, published: Position) -> bool:
    return stored is None or stored.position.source != published.source or stored.position < published
