"""A track replica whose Redis refuses one camera's keys, or is away when a camera ends."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import structlog

from pipeline.answers import BatchAnswer, Outcome
from pipeline.deployments.camera_road import Seen
from pipeline.deployments.job import CameraJob
from pipeline.deployments.track import TrackDeployment
from pipeline.observe.metrics import Metrics
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import RedisSettings
from stages.values import CameraId, CameraNotice, Detected, EndOfStream, FrameBatch, LineId
from tests.fakes import RecordingMeter
from tests.redis_server import redis_server
from tests.services.redis.writes import stored_ids
from tests.unit.deployments.test_tracked_camera import FILE, MODEL, NOW, camera, seen

pytestmark = pytest.mark.services

Make = Callable[[RedisSettings], TrackDeployment]
A, B = CameraId("a"), CameraId("b")
SHARD = "shard-1"


@pytest.fixture
def meter() -> RecordingMeter:
    return RecordingMeter()


@pytest.fixture
async def make(meter: RecordingMeter) -> AsyncIterator[Make]:
    """Makes a track replica; its connection is closed behind the test."""
    made = []

    def replica(settings: RedisSettings) -> TrackDeployment:
        subject = TrackDeployment(settings, None, 10.0, {}, metrics=Metrics(meter))
        made.append(subject)
        return subject

    yield replica
    for subject in made:
        await subject._redis.close()


def jobs(line: str, *cameras: CameraId) -> Mapping[CameraId, CameraJob]:
    return {camera_id: replace(camera().job, camera_id=camera_id, line=LineId(line)) for camera_id in cameras}


def batch(*frames: tuple[CameraId, Seen], over: tuple[CameraId, ...] = ()) -> tuple[FrameBatch, Detected | None]:
    """These frames, and the end of these cameras, each with a word of why."""
    made = [replace(one, frame=replace(one.frame, camera_id=camera_id)) for camera_id, one in frames]
    notices = tuple(CameraNotice(camera_id, 1, NOW, "ended", "it is over", seeing=False, epoch=7) for camera_id in over)
    ends = tuple(EndOfStream(camera_id, 0, "it is over") for camera_id in over)
    detected = Detected(tuple(one.found for one in made), tuple(one.stats for one in made), MODEL) if made else None
    return FrameBatch(SHARD, 0, tuple(one.frame for one in made), ends, notices), detected


def outcomes(answer: BatchAnswer) -> dict[str, Outcome]:
    return {camera_id: each.outcome for camera_id, each in answer.cameras.items()}


async def refuse(settings: RedisSettings, *keys: str) -> None:
    client = connect(settings)
    for key in keys:
        await client.set(key, "someone else's")
    await client.aclose()


class Context(logging.Handler):
    """Keeps what a log line would be marked with."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, dict[str, object]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), dict(structlog.contextvars.get_contextvars())))


@pytest.fixture
def context() -> Iterator[Context]:
    handler = Context()
    logging.getLogger("pipeline").addHandler(handler)
    yield handler
    logging.getLogger("pipeline").removeHandler(handler)


async def test_a_cursor_key_of_another_type_fails_its_camera_alone(
    settings: RedisSettings, line: str, make: Make, meter: RecordingMeter, context: Context
) -> None:
    await refuse(settings, camera_keys(line, A).cursor)
    track = make(settings)
    for n in range(2):
        answer = await track(*batch((A, seen(n)), (B, seen(n))), jobs(line, A, B))
        assert outcomes(answer) == {A: Outcome.FAILED, B: Outcome.PUBLISHED}
    assert len((await stored_ids(settings, line, B))[0]) == 2
    assert meter.total("rayline_sink_failures", sink="redis") == 2
    told = [marks for text, marks in context.lines if "cannot be worked on" in text]
    assert told == [{"shard": SHARD, "camera": A}]


@pytest.mark.parametrize("source", [FILE, "live"])
async def test_last_words_that_are_refused_are_lost_and_the_camera_ends_all_the_same(
    settings: RedisSettings, line: str, make: Make, meter: RecordingMeter, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    track = make(settings)
    await track(*batch((A, seen(0, source)), (B, seen(0, source))), jobs(line, A, B))
    await refuse(settings, camera_keys(line, A).events)
    answer = await track(*batch(over=(A, B)), jobs(line, A, B))
    assert outcomes(answer) == {A: Outcome.PUBLISHED, B: Outcome.PUBLISHED}
    assert len((await stored_ids(settings, line, B))[1]) == 1
    assert meter.total("rayline_sink_failures", sink="redis") == 1
    assert [r.levelname for r in caplog.records if "are lost" in r.message] == ["ERROR"]
    assert "someone else's" not in caplog.text


async def test_a_live_cameras_last_words_are_told_behind_a_later_batch(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path, keep=True) as server:
        settings = RedisSettings(url=server.url, answer_timeout_s=30, deadline_s=30, retries=0)
        track = make(settings)
        await track(*batch((A, seen(0)), (B, seen(0))), jobs("l", A, B))
        server.kill()
        answer = await track(*batch((A, seen(1)), over=(A,)), jobs("l", A))
        assert outcomes(answer) == {A: Outcome.UNAVAILABLE}
        assert answer.cameras[A].keeps_count
        server.start()
        answer = await track(*batch((B, seen(1))), jobs("l", B))
        assert outcomes(answer) == {B: Outcome.PUBLISHED}
        async with StreamReader(settings) as reader:
            entries = await reader.read(camera_keys("l", A).events)
        told = [orjson.loads(entry.data)["data"] for entry in entries]
        assert [data.get("state") or (data["what"], data["frames_lost"]) for data in told] == [
            ("sink_unavailable", 1),
            "ended",
        ]
        before = len(entries)
        await track(*batch((B, seen(2))), jobs("l", B))
        assert len((await stored_ids(settings, "l", A))[1]) == before


async def test_a_files_last_words_are_sent_again_until_they_are_stored(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path, keep=True) as server:
        settings = RedisSettings(url=server.url, answer_timeout_s=30, deadline_s=30, retries=0)
        track = make(settings)
        await track(*batch((A, seen(0, FILE))), jobs("l", A))
        server.kill()
        last = batch(over=(A,))
        assert outcomes(await track(*last, jobs("l", A))) == {A: Outcome.UNAVAILABLE}
        server.start()
        assert outcomes(await track(*last, jobs("l", A))) == {A: Outcome.PUBLISHED}
        assert len((await stored_ids(settings, "l", A))[1]) == 1


async def test_a_camera_that_cannot_be_loaded_leaves_its_loss_to_be_told_by_the_sender(
    tmp_path: Path, make: Make, meter: RecordingMeter
) -> None:
    with redis_server(tmp_path, keep=True) as server:
        settings = RedisSettings(url=server.url, answer_timeout_s=30, deadline_s=30, retries=0)
        track = make(settings)
        await track(*batch((B, seen(0))), jobs("l", B))
        server.kill()
        answer = await track(*batch((A, seen(0)), (B, seen(1))), jobs("l", A, B))
        assert {c: (each.outcome, each.keeps_count) for c, each in answer.cameras.items()} == {
            A: (Outcome.UNAVAILABLE, False),
            B: (Outcome.UNAVAILABLE, True),
        }
        assert meter.total("rayline_sink_failures", sink="redis") == 1  # one wait for all
        server.start()
        answer = await track(*batch((A, seen(1)), (B, seen(2))), jobs("l", A, B))
        assert outcomes(answer) == {A: Outcome.PUBLISHED, B: Outcome.PUBLISHED}
        async with StreamReader(settings) as reader:
            told = [(await reader.read(camera_keys("l", c).detections))[-1] for c in (A, B)]
        dropped = [orjson.loads(entry.data)["dropped_since_last"] for entry in told]
        assert dropped == [{}, {"sink_unavailable": 1}]
