"""What the track replica counts, and what a replica does to the log."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from pipeline.answers import CameraAnswer, Outcome
from pipeline.deployments.identity import set_up_replica_logs
from pipeline.deployments.track import TrackDeployment, _to_the_end
from pipeline.observe.metrics import Metrics
from pipeline.observe.settings import LogSettings
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, WriteOutcome
from stages.values import CameraId, Detected, ModelInfo
from tests.fakes import RecordingMeter
from tests.unit.deployments.test_tracked_camera import camera

CAM = CameraId("cam-1")


@pytest.fixture
def meter() -> RecordingMeter:
    return RecordingMeter()


@pytest.fixture
def track(meter: RecordingMeter) -> TrackDeployment:
    subject = TrackDeployment(RedisSettings(), None, 10.0, {}, metrics=Metrics(meter))
    return subject


def test_stages_failures_and_verdicts_are_counted_once_a_batch(track: TrackDeployment, meter: RecordingMeter) -> None:
    detected = Detected((), (), ModelInfo("m", "1", "", ()), {"preprocess": 2.0, "detect": 30.0})
    answer = CameraAnswer(Outcome.PUBLISHED, None, 4, (), 1, {"pass": 2, "reject": 1})
    track._count(detected, {CAM: camera().job}, {CAM: answer})
    assert meter.values("rayline_stage_seconds", stage="detect") == [0.03]
    assert meter.values("rayline_stage_seconds", stage="preprocess") == [0.002]
    assert meter.values("rayline_frames_failed", camera=CAM) == [1]
    assert meter.values("rayline_inspections", line="line-1", station="s", verdict="pass") == [2]
    assert meter.values("rayline_inspections", verdict="reject") == [1]


async def test_a_write_that_redis_never_answered_is_a_failure_of_that_sink(
    track: TrackDeployment, meter: RecordingMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_writes: list[CameraWrite], _traces: object) -> list[WriteOutcome]:
        raise SinkUnavailable("refused")

    monkeypatch.setattr(track._redis, "write", away)
    write = CameraWrite(CAM, "line-1", None, "live|1|1", [b"{}"], [], [], None)
    assert (await track._sink.write("s", [write], {})).outcomes == {CAM: None}
    assert meter.told == [("rayline_sink_failures", 1, {"sink": "redis"})]


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = before


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("settings", [None, LogSettings()])
def test_outside_a_replica_the_log_stays_as_it_is(settings: LogSettings | None) -> None:
    before = logging.getLogger().handlers[:]
    set_up_replica_logs(settings)
    assert logging.getLogger().handlers == before


async def test_a_cancelled_call_is_over_only_when_its_thread_is_done() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), list[str]()

    def work(name: str) -> None:
        begun.set()
        assert go_on.wait(60)
        done.append(name)

    call = asyncio.create_task(_to_the_end(work, "cam-1"))
    assert await asyncio.to_thread(begun.wait, 60)
    for _ in range(2):  # who cancels may do so again
        call.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not call.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert done == ["cam-1"]
