"""A shard carries a folder of pictures through a scripted graph, and tells what came of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.answers import BatchAnswer, CameraAnswer, Gap, Outcome
from pipeline.ingest import shard as shards
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.camera_state import CameraState
from pipeline.ingest.carrier import CarrierSettings
from pipeline.ingest.numbering import StoredPlace
from pipeline.ingest.shard import CameraFigures, CameraTask, Shard
from pipeline.observe.metrics import Metrics
from stages.values import CameraId, Detected, Detections, FrameBatch, FrameFailed, ModelInfo, Position
from tests.fakes import RecordingMeter

CAM = CameraId("cam-1")
PICTURES = 5


class Graph:
    """Publishes every frame; each is a part that passes, seen by a camera that is blurred.

    Track answers only while it is `there`.
    """

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.there.set()
        self.asked = asyncio.Event()  # track was, at least once
        self.carried: list[FrameBatch] = []

    async def detect(self, batch: FrameBatch) -> Detected:
        nothing = (Detections.empty(),) * len(batch)
        return Detected(nothing, (FrameFailed("no stats"),) * len(batch), ModelInfo("m", "1", "", ()))

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        self.asked.set()
        await self.there.wait()
        self.carried.append(batch)
        answers = {}
        for camera in {f.camera_id for f in batch.frames}:
            frames = sum(f.camera_id == camera for f in batch.frames)
            answers[camera] = CameraAnswer(
                Outcome.PUBLISHED, None, frames, (0.25,) * frames, 0, {"pass": frames}, "blurred"
            )
        return BatchAnswer(answers)

    def forget(self, batch: FrameBatch) -> None:
        pass

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        raise AssertionError(reason)


async def nothing_stored(_camera: CameraId) -> StoredPlace | None:
    return None


@asynccontextmanager
async def running(
    graph: Graph, stored: Callable[[CameraId], Awaitable[StoredPlace | None]] = nothing_stored, max_in_flight: int = 2
) -> AsyncIterator[Shard]:
    carrier = CarrierSettings(max_in_flight=max_in_flight)
    shard = Shard("shard-1", False, 2, carrier, graph, stored, Metrics(RecordingMeter()))
    shard.start()
    try:
        async with asyncio.timeout(60):
            yield shard
    finally:
        graph.there.set()
        await shard.stop(2.0)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what is looked at tells nobody that it changed
        await asyncio.sleep(0)


async def until_over(shard: Shard) -> None:
    while not shard.ended():
        shard._end_landed.clear()
        await shard._end_landed.wait()


def reads(folder: Path, camera: CameraId = CAM, paused: bool = False, **settings: bool) -> CameraTask:
    return CameraTask(CameraSettings(camera_id=camera, url=str(folder), **settings), paused)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few pictures."""
    for number in range(PICTURES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), number, np.uint8))
    return tmp_path


async def carried(folder: Path, meter: RecordingMeter) -> list[CameraFigures]:
    """The figures when every picture was carried and the shard has stopped."""
    shard = Shard("shard-1", False, 2, CarrierSettings(), Graph(), nothing_stored, Metrics(meter))
    shard.start()
    await shard.apply({CAM: CameraTask(CameraSettings(camera_id=CAM, url=str(folder)))})
    async with asyncio.timeout(60):
        await until_over(shard)
    figures = shard.figures()
    await shard.stop(2.0)
    return figures


async def test_what_was_carried_is_in_the_figures_and_in_the_metrics(folder: Path) -> None:
    meter = RecordingMeter()
    (figures,) = await carried(folder, meter)
    assert (figures.published, figures.status.frames_in) == (PICTURES, PICTURES)
    assert figures.parts == {"pass": PICTURES}
    assert figures.health == "blurred"
    assert figures.status.last_frame_at is not None
    assert meter.total("rayline_frames_in", camera=CAM) == PICTURES
    assert meter.total("rayline_frames_published", camera=CAM) == PICTURES
    assert meter.values("rayline_capture_to_publish_seconds", camera=CAM) == [0.25] * PICTURES
    assert sum(meter.values("rayline_batch_frames", shard="shard-1")) == PICTURES
    assert meter.values("rayline_batches_in_flight", shard="shard-1")[-1] == 0
    assert meter.values("rayline_camera_state", state="ended")[-1] == 0  # it was taken away
    assert meter.values("rayline_camera_state", state="ended")[-2] == 1


@pytest.mark.parametrize(
    "max_in_flight",
    [
        pytest.param(16, id="its end is under way and comes late"),
        pytest.param(1, id="its end was left in its hand-over"),
    ],
)
async def test_a_run_that_was_written_off_does_not_end_the_next_one(
    folder: Path, max_in_flight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "END_S", 0.0)
    graph = Graph()
    async with running(graph, max_in_flight=max_in_flight) as shard:
        graph.there.clear()
        await shard.apply({CAM: reads(folder)})
        await graph.asked.wait()
        await until(lambda: max_in_flight == 1 or CAM in shard._ends)
        await shard.apply({CAM: reads(folder, loop=True)})  # "cameras set" while the graph is away
        graph.there.set()
        while sum(len(batch) for batch in graph.carried) < 5 * PICTURES:
            assert not shard.ended()
            await asyncio.sleep(0)
        assert any(batch.ends for batch in graph.carried) is (max_in_flight > 1)
        assert shard.figures()[0].status.state is CameraState.RUNNING
        await shard.apply({CAM: reads(folder)})
        await until_over(shard)


async def test_an_error_with_one_camera_does_not_add_another_twice(folder: Path) -> None:
    other, asked, answer = CameraId("other"), [], asyncio.Event()

    async def stored_place(camera: CameraId) -> StoredPlace | None:
        asked.append(camera)
        if camera == CAM and asked.count(CAM) == 1:
            raise ConnectionError("no Redis")
        if camera == other:
            await answer.wait()
        return None

    tasks = {CAM: reads(folder), other: reads(folder, other)}
    async with running(Graph(), stored_place) as shard:
        first = asyncio.create_task(shard.apply(tasks))
        await until(lambda: other in asked)
        second = asyncio.create_task(shard.apply(tasks))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not shard.ended()
        answer.set()
        with pytest.raises(ConnectionError, match="no Redis"):
            await first
        await second
        assert (asked.count(CAM), asked.count(other)) == (2, 1)
        await until_over(shard)


async def test_the_end_of_all_others_is_no_end_while_a_camera_could_not_be_added(folder: Path) -> None:
    async def stored_place(camera: CameraId) -> StoredPlace | None:
        if camera != CAM:
            raise ConnectionError("no Redis")
        return None

    async with running(Graph(), stored_place) as shard:
        with pytest.raises(ConnectionError):
            await shard.apply({CAM: reads(folder), CameraId("other"): reads(folder, CameraId("other"))})
        await shard._end_landed.wait()
        assert not shard.ended()


async def test_a_camera_that_comes_paused_is_not_connected_to(folder: Path) -> None:
    async with running(Graph()) as shard:
        await shard.apply({CAM: reads(folder, paused=True)})
        assert not any(thread.name.startswith("camera-") for thread in threading.enumerate())
        assert shard.figures()[0].status.state is CameraState.PAUSED
        await shard.apply({CAM: reads(folder)})
        await until_over(shard)
        assert shard.figures()[0].published == PICTURES


async def test_a_camera_that_is_restarted_is_opened_anew_and_no_other(folder: Path) -> None:
    other = CameraId("cam-2")
    async with running(Graph()) as shard:
        await shard.apply({CAM: reads(folder), other: reads(folder, other)})
        await until_over(shard)
        before = dict(shard._cameras)
        await shard.apply({CAM: replace(reads(folder), restart="r1"), other: reads(folder, other)})
        assert [shard._cameras[name] is before[name] for name in (CAM, other)] == [False, True]
        again = shard._cameras[CAM]
        await shard.apply({CAM: replace(reads(folder), restart="r1"), other: reads(folder, other)})
        assert shard._cameras[CAM] is again


class Store(Graph):
    """Takes frames that follow what it holds, as track does; loses all but the first `kept` once `full` are there."""

    def __init__(self, full: int, kept: int) -> None:
        super().__init__()
        self.held: list[Position] = []
        self.lost = 0
        self._full, self._kept = full, kept

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        fresh = [f for f in batch.frames if f.position not in self.held]
        follows = next((each.follows for each in (*fresh, *batch.ends)), None)
        cursor = self.held[-1].encode() if self.held else None
        if follows is not None and follows not in self.held:
            return BatchAnswer({CAM: CameraAnswer(Outcome.BEHIND, cursor)})
        self.held += [f.position for f in fresh]
        answer = CameraAnswer(Outcome.PUBLISHED, self.held[-1].encode(), len(fresh))
        if len(self.held) >= self._full and not self.lost:
            self.lose()
        return BatchAnswer({CAM: answer})

    def lose(self) -> None:
        self.lost = len(self.held) - self._kept
        del self.held[self._kept :]

    async def place(self, camera: CameraId) -> StoredPlace | None:
        return StoredPlace(self.held[-1]) if self.held else None


@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_what_the_store_lost_is_read_again_and_written_once(folder: Path, kept: int) -> None:
    store = Store(full=3, kept=kept)
    async with running(store, store.place) as shard:
        await shard.apply({CAM: reads(folder)})
        await until_over(shard)
        assert [position.minor for position in store.held] == list(range(PICTURES))
        assert store.lost
        assert shard.figures()[0].dropped == {}


async def test_what_the_store_lost_behind_the_end_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "LOOK_S", 0.01)
    store = Store(full=99, kept=2)
    async with running(store, store.place) as shard:
        await shard.apply({CAM: reads(folder)})
        await until_over(shard)
        store.lose()
        shard._tell(CAM, shard._runs[CAM], CameraState.ENDED, "it says so late", 0.0)  # its answer tells less by now
        await until(lambda: len(store.held) == PICTURES)
        await until_over(shard)
        assert [position.minor for position in store.held] == list(range(PICTURES))
