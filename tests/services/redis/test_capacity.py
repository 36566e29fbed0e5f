"""A plan's Redis memory holds on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from pipeline.capacity import costs
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams, WriteStatus
from stages.results.messages import detection_message
from stages.values import Position
from tests.redis_server import BINARIES, redis_server
from tests.services.redis.writes import live
from tests.unit.results.builders import CAPTURED_AT, CONTEXT, result, tracks

ENTRIES = 1000


@pytest.mark.parametrize("version", [name for name, binary in BINARIES.items() if binary])
async def test_entries_take_no_more_memory_than_planned(tmp_path: Path, version: str) -> None:
    objects = len(tracks())
    with redis_server(tmp_path, version) as server:
        prev = None
        async with RedisStreams(RedisSettings(url=SecretStr(server.url))) as streams:
            for start in range(0, ENTRIES, 10):
                new = live(start + 9)
                messages = [_message(seq) for seq in range(start, start + 10)]
                (outcome,) = await streams.write([CameraWrite("cam-1", "line", prev, new, messages)])
                assert outcome.status is WriteStatus.WRITTEN
                prev = new
        async with Redis.from_url(server.url) as client:
            held = await client.memory_usage(camera_keys("line", "cam-1").detections, samples=0)
    planned = ENTRIES * (costs.MESSAGE_BYTES + objects * costs.OBJECT_BYTES) * costs.REDIS_OVERHEAD
    assert held is not None
    assert 0.7 * planned < held <= 1.05 * planned


def _message(seq: int) -> bytes:
    position = Position("live", 1_794_999_000_000, seq)
    return detection_message(
        result(seq=seq, position=position, captured_at=CAPTURED_AT + seq), CONTEXT, CAPTURED_AT + seq + 0.2
    )
