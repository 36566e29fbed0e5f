"""`rayline relay`, killed and stopped: nothing is missing, and what comes twice is bounded."""

import asyncio
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from pipeline.sinks.jsonl_sink import files_of
from pipeline.sinks.reader_floors import ReaderFloors
from pipeline.sinks.redis_client import RedisSettings
from tests.kafka_broker import KafkaBroker
from tests.redis_server import RedisServer
from tests.services.relay.rig import TOPICS, RelayProcess, Site, arrived, eventually, first_times, id_of

pytestmark = pytest.mark.services

IN_FLIGHT = 40


def config(folder: Path, redis: str, relay: dict[str, object]) -> Path:
    file = folder / "relay.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "redis": {"url": redis}, "relays": {"plant": relay}}))
    return file


async def test_killed_and_started_again_nothing_is_missing_and_what_comes_twice_is_bounded(
    broker: KafkaBroker, redis: RedisServer, site: Site, tmp_path: Path
) -> None:
    relay = {"kind": "kafka", "brokers": [broker.address], "enable_idempotence": False, "topic": "{line}.{kind}"}
    limits = {"max_in_flight": IN_FLIGHT, "lines": [site.line], "request_timeout_s": 2}
    process = RelayProcess(config(tmp_path, redis.url, relay | limits))
    topics = [f"{site.line}.{topic}" for topic in TOPICS]
    await site.publish(100)
    kills = 3
    for kill in range(kills):
        process.start()
        await arrived(broker.address, topics, 1000 * (kill + 1), all_of_it=False)
        process.end(signal.SIGKILL)  # in the middle of things
    await site.publish(5)
    process.start()
    expected = sum(map(len, site.ids.values()))
    records = await arrived(broker.address, topics, expected)
    assert process.end(signal.SIGTERM) == 0, process.log
    times = Counter(map(id_of, records))
    assert times.keys() == {i for ids in site.ids.values() for i in ids}
    assert len(records) - expected <= kills * IN_FLIGHT
    for (topic, _), ids in first_times(records).items():
        assert ids == sorted(ids, key=site.order), topic


async def test_stopped_it_has_handed_on_what_stands_in_redis_and_said_so(
    redis: RedisServer, site: Site, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = RelayProcess(config(tmp_path, redis.url, {"kind": "jsonl", "folder": "out", "lines": [site.line]}))
    await site.publish(3)
    process.start()
    await eventually(lambda: bool(files_of(out, "inspections")))
    await site.publish(20)
    assert process.end(signal.SIGTERM) == 0, process.log
    for topic in TOPICS:
        lines = [line for path in files_of(out, topic) for line in path.read_bytes().splitlines()]
        assert len(lines) == len(site.ids[topic])
        assert re.search(rf"{topic} {len(lines)}", process.log)


async def test_a_relay_that_is_gone_for_good_is_forgotten(redis: RedisServer, site: Site, tmp_path: Path) -> None:
    process = RelayProcess(config(tmp_path, redis.url, {"kind": "jsonl", "folder": "out", "lines": [site.line]}))
    await site.publish(1)
    process.start()
    floors = ReaderFloors(RedisSettings(url=redis.url))
    await eventually(lambda: bool(files_of(tmp_path / "out", "inspections")))
    process.end(signal.SIGKILL)
    held = [one for one in await floors.registered() if one.line == site.line]
    assert [one.group for one in held] == ["relay-plant"]
    assert {"detections", "events", "inspections"} <= set(held[0].streams)
    told = await _rayline("relays", "list", "--redis", redis.url)
    assert "relay-plant" in told
    assert "is forgotten" in await _rayline("relays", "forget", "plant", "--redis", redis.url)
    assert [one for one in await floors.registered() if one.group == "relay-plant"] == []
    await floors.close()


async def _rayline(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pipeline.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()
