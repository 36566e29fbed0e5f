"""A track replica that changes a camera's recipe, over a real Redis: told once, whoever dies in between."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from pipeline.deployments.camera_road import Seen
from pipeline.deployments.job import CameraJob
from pipeline.deployments.track import TrackDeployment
from pipeline.observe.metrics import Metrics, NullMeter
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_streams import RedisSettings
from stages.values import CameraId, Detected, FrameBatch, LineId
from tests.unit.deployments.test_changeover import LARGE, SMALL, empty, passes
from tests.unit.deployments.test_tracked_camera import FILE, MODEL

pytestmark = pytest.mark.services

A = CameraId("cam-1")
Make = Callable[[], TrackDeployment]


@pytest.fixture
async def make(settings: RedisSettings) -> AsyncIterator[Make]:
    made: list[TrackDeployment] = []

    def replica() -> TrackDeployment:
        made.append(TrackDeployment(settings, None, 10.0, {}, metrics=Metrics(NullMeter())))
        return made[-1]

    yield replica
    for subject in made:
        await subject.close()


def of(line: str, job: CameraJob) -> CameraJob:
    before = None if job.before is None else of(line, job.before)
    return replace(job, line=LineId(line), before=before)


async def send(track: TrackDeployment, frames: Sequence[Seen], job: CameraJob) -> Any:
    detected = Detected(tuple(one.found for one in frames), tuple(one.stats for one in frames), MODEL)
    answer = await track(FrameBatch("shard-1", 0, tuple(one.frame for one in frames)), detected, {A: job})
    return answer.cameras[A].in_force


async def stored(settings: RedisSettings, key: str) -> list[dict[str, Any]]:
    async with StreamReader(settings) as reader:
        return [orjson.loads(entry.data) for entry in await reader.read(key, count=1000)]


@pytest.mark.parametrize("died", [6, 10, 20], ids=["before it is asked for", "while it waits", "behind it"])
async def test_a_replica_that_dies_around_a_change_costs_no_part_and_tells_it_once(
    settings: RedisSettings, line: str, make: Make, died: int
) -> None:
    small, large = of(line, SMALL), of(line, LARGE)
    frames = [*passes(0, FILE), *(empty(n, FILE) for n in range(24, 30)), *passes(30, FILE)]
    track = make()
    for n in range(0, len(frames), 2):
        if n == died:
            track = make()  # the one before says nothing more, and another knows only what is stored
        told = await send(track, frames[n : n + 2], small if n < 6 else large)
    assert (told.recipe, told.change_id) == ("large", "change-1")
    keys = camera_keys(line, A)
    events = [one for one in await stored(settings, keys.events) if one["kind"] == "recipe_changed"]
    assert [(one["data"]["from"], one["data"]["to"]) for one in events] == [("r", "large")]
    verdicts = await stored(settings, keys.inspections)
    assert [one["recipe"] for one in verdicts] == ["r", "large"]
    assert len({one["inspection_id"] for one in verdicts}) == 2
    names = [one["recipe"] for one in await stored(settings, keys.detections)]
    assert len(names) == len(frames)
    assert names == sorted(names, reverse=True)


async def test_a_write_that_was_stored_and_never_answered_is_not_told_again(
    settings: RedisSettings, line: str, make: Make
) -> None:
    small, large = of(line, SMALL), of(line, LARGE)
    await send(make(), [empty(0, FILE)], small)
    await send(make(), [empty(1, FILE), empty(2, FILE)], large)
    told = await send(make(), [empty(1, FILE), empty(2, FILE)], large)  # the answer was lost: sent again
    assert told.recipe == "large"
    events = await stored(settings, camera_keys(line, A).events)
    assert [one["kind"] for one in events].count("recipe_changed") == 1
