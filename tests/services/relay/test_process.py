"""`rayline relay`, killed and stopped: nothing is missing, and what comes twice is bounded."""

import asyncio
import gc
import logging
import re
import signal
from collections import Counter
from pathlib import Path

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.observe.metrics import Metrics, NullMeter
from pipeline.relays.jsonl_sink import files_of
from pipeline.relays.running import Relays, RelaysSpec
from pipeline.relays.settings import JsonLinesRelaySettings
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import RedisServer
from tests.services.relay.rig import TOPICS, RelayProcess, Site, arrived, eventually, first_times, id_of, kafka_settings
from tests.stopwatch import Stopwatch

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
    limits = {
        "max_in_flight": IN_FLIGHT,
        "lines": [site.line],
        "request_timeout_s": 30,
    }  # a batch that is only slow is not sent twice
    process = RelayProcess(config(tmp_path, redis.url, relay | limits))
    topics = [f"{site.line}.{topic}" for topic in TOPICS]
    await site.publish(100)
    kills = 2
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


async def test_stopped_it_has_handed_on_what_stands_in_redis_and_holds_streams_until_it_is_forgotten(
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
    (told,) = [one for one in orjson.loads(await rayline(redis, "list", "--json")) if one["line"] == site.line]
    cameras = [f"{topic}:{camera}" for topic in ("detections", "events") for camera in site.cameras]
    assert (told["group"], told["streams"]) == ("relay-plant", sorted([*TOPICS, *cameras]))
    assert "is forgotten: it held streams of 1 line" in await rayline(redis, "forget", "plant")
    assert "relay-plant" not in await rayline(redis, "list", "--json")


async def rayline(redis: RedisServer, *arguments: str) -> str:
    """What `rayline relays ...` prints."""
    command = ["relays", *arguments, "--redis", redis.url]
    result = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_a_relay_that_breaks_is_waiting_and_says_why_and_stops_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, stopwatch: Stopwatch
) -> None:
    monkeypatch.setattr("pipeline.relays.running.LAST_WORDS_S", 50.0)
    settings = JsonLinesRelaySettings(kind="jsonl", folder=Path("no\0folder"), lines=(site.line,))
    relays = Relays(RelaysSpec({"plant": settings}, site.settings, [site.line]), Metrics(NullMeter()))
    relays.start()
    await site.publish(1)
    await eventually(lambda: relays.statuses()[0].state == "waiting")
    told = relays.statuses()[0]
    assert told.last_error == "broke: ValueError: embedded null byte"
    assert told.last_error_at
    await eventually(lambda: relays.statuses()[0].state == "running")
    assert relays.statuses()[0].last_error == told.last_error
    await eventually(lambda: relays.statuses()[0].state == "waiting")
    stopwatch.restart()
    await relays.stop(100)
    assert stopwatch.seconds < 0.5, "it is told to end, and need not be cancelled"


async def test_it_stops_within_seconds_though_the_broker_does_not_answer(
    site: Site, caplog: pytest.LogCaptureFixture, stopwatch: Stopwatch
) -> None:
    with kafka_broker() as broker:
        settings = kafka_settings(broker.address, lines=[site.line], request_timeout_s=100)
        relays = Relays(RelaysSpec({"plant": settings}, site.settings, [site.line]), Metrics(NullMeter()))
        relays.start()
        await site.publish(1)
        await eventually(lambda: sum(relays.statuses()[0].relayed.values()) > 0)
        broker.freeze()
        await site.publish(1)
        await asyncio.sleep(0.3)  # it is in the middle of sending
        stopwatch.restart()
        await relays.stop(100)
        assert stopwatch.seconds < 5
    gc.collect()  # a task's error that nobody looked at is logged when it goes
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
