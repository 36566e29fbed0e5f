"""Traces go into Redis beside what is written anyhow, are bounded, and never cost a result."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pipeline.answers import Outcome
from pipeline.deployments.track import TrackDeployment
from pipeline.observe.metrics import Metrics
from pipeline.observe.traces import decoded
from pipeline.sinks.keys import TRACE_SAMPLE, TRACES
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import MOST_TRACES, RedisSettings, RedisStreams, WriteStatus
from stages.trace import Stage, Trace
from tests.fakes import RecordingMeter
from tests.redis_server import redis_server
from tests.services.redis.test_track_replica import SHARD, A, B, batch, jobs, outcomes
from tests.services.redis.writes import live, write
from tests.unit.deployments.test_tracked_camera import seen

pytestmark = pytest.mark.services


@pytest.fixture
async def client(settings: RedisSettings) -> AsyncIterator[Redis]:
    client = connect(settings)
    await client.delete(TRACES, TRACE_SAMPLE)
    yield client
    await client.delete(TRACES, TRACE_SAMPLE)
    await client.aclose()


async def test_traces_go_with_a_write_and_the_oldest_are_let_go(
    streams: RedisStreams, client: Redis, line: str
) -> None:
    for seq in range(2):
        (outcome,) = await streams.write([write(line, live(seq - 1) if seq else None, live(seq))], [b"x"] * 1500)
        assert outcome.status is WriteStatus.WRITTEN
    assert MOST_TRACES <= await client.xlen(TRACES) < 2600


async def test_where_traces_cannot_be_kept_results_are(streams: RedisStreams, client: Redis, line: str) -> None:
    await client.set(TRACES, "someone else's")
    outcomes = await streams.write([write(line, None, live(0)), write(line, None, live(0), camera="b")], [b"x"])
    assert [outcome.status for outcome in outcomes] == [WriteStatus.WRITTEN] * 2


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, None), ("0.25", 0.25), ("7", 1.0), ("-1", 0.0), ("a lot", None)]
)
async def test_the_share_somebody_asks_for_is_read(
    streams: RedisStreams, client: Redis, asked: str | None, expected: float | None
) -> None:
    if asked is not None:
        await client.set(TRACE_SAMPLE, asked)
    assert await streams.trace_sample_asked() == expected


async def test_a_traced_batch_is_told_in_the_metrics_and_kept_with_the_next_write(
    settings: RedisSettings, client: Redis, line: str
) -> None:
    meter, track = RecordingMeter(), TrackDeployment(settings, None, 10.0, {})
    track._metrics = Metrics(meter)
    road = Trace(time.time() - 0.1).then(Stage.INFER, time.time() - 0.05, "detect r1")
    frames, detected = batch((A, seen(0)), (B, seen(0)))
    assert detected is not None
    await track(frames, replace(detected, trace=road), jobs(line, A, B))
    assert await client.xlen(TRACES) == 0  # the write of its own is part of what it tells
    await track(*batch((A, seen(1))), jobs(line, A))
    await track.close()
    async with StreamReader(settings) as reader:
        (entry,) = await reader.read(TRACES)
    traces = decoded(entry.data)
    assert [(one.camera, one.shard, one.seq) for one in traces] == [(A, SHARD, 0), (B, SHARD, 0)]
    assert [mark.stage for mark in traces[0].road.marks] == ["infer", "to_track", "track", "publish"]
    assert all(took_s >= 0 for one in traces for _, _, took_s in one.stretches())
    assert traces[0].road.until <= time.time()
    assert len(meter.values("rayline_stage_seconds", stage="infer")) == 1
    assert len(meter.values("rayline_stage_seconds", stage="track")) == 2  # once a batch, traced or not


async def test_what_could_not_be_stored_is_not_told(tmp_path: Path) -> None:
    with redis_server(tmp_path, keep=True) as server:
        settings = RedisSettings(url=server.url, answer_timeout_s=30, deadline_s=30, retries=0)
        meter, track = RecordingMeter(), TrackDeployment(settings, None, 10.0, {})
        track._metrics = Metrics(meter)
        await track(*batch((A, seen(0))), jobs("l", A))
        server.kill()
        frames, detected = batch((A, seen(1)))
        assert detected is not None
        road = Trace(time.time()).then(Stage.INFER, time.time(), "detect r1")
        answer = await track(frames, replace(detected, trace=road), jobs("l", A))
        assert outcomes(answer) == {A: Outcome.UNAVAILABLE}
        assert meter.values("rayline_stage_seconds", stage="infer") == []
        await track.close()
