"""A relay between a real Redis and a real broker: what is written, what arrives, and a relay as its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from pipeline.observe.metrics import Metrics
from pipeline.relays.outgoing import RelaySink
from pipeline.relays.relay import Relay
from pipeline.relays.settings import JsonLinesRelaySettings, KafkaRelaySettings
from pipeline.sinks.redis_streams import CameraWrite, ReaderCut, RedisSettings, RedisStreams
from tests.fakes import RecordingMeter
from tests.services.redis.writes import live

TOPICS = ("detections", "events", "inspections")


def kafka_settings(broker: str, **settings: Any) -> KafkaRelaySettings:
    """For the test broker, which knows no idempotent producer."""
    given = {"kind": "kafka", "brokers": [broker], "enable_idempotence": False, "request_timeout_s": 2.0, **settings}
    return KafkaRelaySettings.model_validate(given)


class Site:
    """Cameras that publish numbered messages, all three topics at once."""

    def __init__(self, settings: RedisSettings, line: str, cameras: Sequence[str] = ("cam-a", "cam-b")) -> None:
        self.settings = settings
        self.line = line
        self.cameras = cameras
        self.ids: dict[str, list[str]] = {topic: [] for topic in TOPICS}
        self.cuts: set[ReaderCut] = set()
        self._streams = RedisStreams(settings)
        self._written = 0

    async def publish(self, batches: int, each: int = 10, padding: int = 0) -> None:
        """So many batches of each camera, `each` messages of every topic in one."""
        for _ in range(batches):
            prev = live(self._written) if self._written else None
            self._written += 1
            writes = [self._write(camera, prev, each, padding) for camera in self.cameras]
            outcomes = await self._streams.write(writes)
            assert {outcome.status for outcome in outcomes} == {"WRITTEN"}
            self.cuts |= {cut for outcome in outcomes for cut in outcome.cut}

    def order(self, message_id: str) -> int:
        """Its place among those of its topic, as they were written."""
        return self.ids[message_id.partition("/")[0]].index(message_id)

    def _write(self, camera: str, prev: str | None, each: int, padding: int) -> CameraWrite:
        def messages(topic: str) -> list[bytes]:
            ids = [f"{topic}/{camera}/{self._written:05}/{n:03}" for n in range(each)]
            self.ids[topic] += ids
            kind = {"events": "zone", "inspections": "inspection"}.get(topic)
            told = {"schema": f"rayline.{topic[:-1]}/1.0", "line": self.line, "camera": camera, "pad": "x" * padding}
            return [orjson.dumps({"message_id": i, **told, **({"kind": kind} if kind else {})}) for i in ids]

        made = {topic: messages(topic) for topic in TOPICS}
        return CameraWrite(camera, self.line, prev, live(self._written), *made.values())

    async def close(self) -> None:
        await self._streams.close()


def relay_of(
    site: Site,
    settings: KafkaRelaySettings | JsonLinesRelaySettings,
    name: str = "r",
    meter: RecordingMeter | None = None,
    sink: RelaySink | None = None,
) -> Relay:
    """A relay of the site's line alone: the others of the session's Redis are other tests'."""
    settings = settings.model_copy(update={"lines": (site.line,)})
    return Relay(name, settings, site.settings, [site.line], Metrics(meter or RecordingMeter()), sink)


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[Relay]:
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def arrived(
    broker: str, topics: Sequence[str], expected: int, timeout_s: float = 90.0, *, all_of_it: bool = True
) -> list[ConsumerRecord]:
    """Records of these topics from their beginning, once there are so many different ones (and no more come)."""
    deadline = time.monotonic() + timeout_s
    async with asyncio.timeout(timeout_s):
        await _wait_for(broker, topics)
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=broker, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        records: list[ConsumerRecord] = []
        quiet = 0
        while time.monotonic() < deadline and quiet < 2:
            got = await consumer.getmany(timeout_ms=300 if all_of_it else 20)
            new = [record for part in got.values() for record in part]
            records += new
            enough = len({id_of(record) for record in records}) >= expected
            quiet = quiet + 1 if enough and not new else 0
            if enough and not all_of_it:
                break
        return records
    finally:
        await consumer.stop()


async def _wait_for(broker: str, topics: Sequence[str]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker)
    await consumer.start()
    try:
        while not set(topics) <= await consumer.topics():  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.2)
    finally:
        await consumer.stop()


async def eventually(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what is asked tells nobody
            await asyncio.sleep(0.05)


def id_of(record: ConsumerRecord) -> str:
    return dict(record.headers)["message_id"].decode()


def first_times(records: Iterable[ConsumerRecord]) -> dict[tuple[str, str], list[str]]:
    """Message ids by (topic, key) in the order they first came: what a consumer that dedupes sees."""
    seen: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        seen.setdefault((record.topic, record.key.decode()), {}).setdefault(id_of(record))
    return {place: list(ids) for place, ids in seen.items()}


class RelayProcess:
    """`rayline relay CONFIG`, to be killed."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._log = config.with_suffix(".log")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", "relay", str(self._config)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        os.kill(self._process.pid, how)
        return self._process.wait(60)

    @property
    def log(self) -> str:
        return self._log.read_text()
