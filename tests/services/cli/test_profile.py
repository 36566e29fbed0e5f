"""`profile` asks for traces, reads them from Redis alone, and shows what they add up to."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pipeline.observe.traces import encoded
from pipeline.sinks.keys import TRACE_SAMPLE, TRACES
from tests.services.cli.conftest import Rayline, Site
from tests.unit.observe.roads import frame_trace

pytestmark = pytest.mark.services


def come_later(site: Site) -> threading.Thread:
    """Traces of two cameras, and an entry of another version, once somebody looks."""

    async def looks(client: Redis) -> bool:
        return any(each["cmd"] == "xread" for each in await client.client_list())

    traces = [frame_trace(camera, seq, queue=10.0, infer=30.0) for seq in range(2) for camera in ("cam-1", "gate")]

    def come() -> None:
        while not site._run(looks):
            time.sleep(0.02)
        site.append(TRACES, b"[[1]]")
        site.append(TRACES, encoded(traces))

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    return thread


def test_what_comes_while_it_looks_is_shown_and_what_came_before_is_not(
    rayline: Rayline, site: Site, tmp_path: Path
) -> None:
    site.append(TRACES, encoded([frame_trace("cam-1", 9, infer=900.0)]))
    coming, path = come_later(site), tmp_path / "trace.json"
    result = rayline("profile", "--seconds", "3", "--trace", str(path))
    coming.join()
    assert result.exit_code == 0, result.output
    assert "75% is infer" in result.stdout
    events = json.loads(path.read_text())["traceEvents"]
    assert sum(event["ph"] == "X" for event in events) == 8
    asked = site._run(lambda client: client.get(TRACE_SAMPLE))
    lasts_s = site._run(lambda client: client.ttl(TRACE_SAMPLE))
    assert asked == b"0.25"
    assert 0 < lasts_s <= 6


def test_only_one_cameras_frames_are_looked_at_and_nobody_is_asked_for_more(rayline: Rayline, site: Site) -> None:
    coming = come_later(site)
    result = rayline("profile", "--seconds", "3", "--camera", "gate", "--sample", "0", "--json")
    coming.join()
    told = json.loads(result.stdout)
    assert told["total"]["count"] == 2
    assert site._run(lambda client: client.get(TRACE_SAMPLE)) is None


def test_a_redis_that_is_not_there_is_told(rayline: Rayline) -> None:
    result = rayline("profile", "--seconds", "1", "--redis", "redis://127.0.0.1:1/0")
    assert result.exit_code == 1
