"""A topic read by real readers into a real Redis, in this process: numbers in the pictures, no Ray."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pipeline.answers import BatchAnswer, Gap
from pipeline.deployments.job import CameraJob
from pipeline.deployments.track import TrackDeployment
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.carrier import CarrierSettings
from pipeline.ingest.figures import CameraTask
from pipeline.ingest.kafka.marks import TopicMarks
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.ingest.kafka.topic_shard import TopicShard
from pipeline.ingest.numbering import StoredPlace
from pipeline.observe.metrics import Metrics, NullMeter
from pipeline.observe.settings import LogSettings
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisLink
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from stages.detect.settings import ModelSettings
from stages.health.camera_health import HealthSettings
from stages.track.settings import TrackSettings
from stages.track.zones import ZonesSettings
from stages.values import CameraId, Detected, FrameBatch, FrameFailed, LineId, ModelInfo, Position
from tests.numbered import numbered_picture
from tests.numbered_model import number_of
from tests.wiring.numbered_detect import NumberedFused

LINE = "line"
TOPIC = "frames"
Record = tuple[str | bytes | None, bytes | None]  # key, value


def jpeg(number: int, width: int = 160, height: int = 96) -> bytes:
    return cv2.imencode(".jpg", numbered_picture(number, width, height))[1].tobytes()


def h264(count: int, keyframe_every: int = 10) -> list[bytes]:
    """One access unit each, number n in the n-th picture."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 192, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.gop_size = keyframe_every
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "x264-params": "repeat-headers=1"}
    units = []
    for n in range(count):
        frame = av.VideoFrame.from_ndarray(numbered_picture(n, 320, 192), format="rgb24")
        frame.pts = n
        units += [bytes(packet) for packet in encoder.encode(frame)]
    return units


def names(count: int) -> list[CameraId]:
    return [CameraId(f"cam-{number}") for number in range(count)]


class LocalGraph:
    """The stages called here; one track replica, which `replace` makes anew as after its death."""

    def __init__(self, redis: RedisSettings, jobs: Mapping[CameraId, CameraJob], workshop: Path) -> None:
        self._redis = redis
        self._jobs = jobs
        (workshop / "slow").touch()  # the delay of a first replica is not wanted here
        settings = ModelSettings(weights=str(workshop), image_size=(96, 160), max_batch=8)
        self._detect = NumberedFused("numbers", settings, 10.0, LogSettings())
        self.track_replica = TrackDeployment(redis, None, 10.0, {})

    async def detect(self, batch: FrameBatch) -> Detected:
        return await self._detect(batch, {})

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        cameras = {f.camera_id for f in batch.frames} | {n.camera_id for n in batch.notices}
        jobs = {camera_id: self._jobs[camera_id] for camera_id in cameras}
        return await self.track_replica(batch, detected, jobs, excused)

    def forget(self, batch: FrameBatch) -> None:
        pass

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        failed = tuple(FrameFailed(reason) for _ in batch.frames)
        return Detected(failed, failed, ModelInfo("numbers", "", "", ()))

    async def replace(self) -> None:
        before, self.track_replica = self.track_replica, TrackDeployment(self._redis, None, 10.0, {})
        await before._redis.close()

    async def close(self) -> None:
        await self.track_replica._redis.close()


def jobs_of(cameras: Iterable[CameraId]) -> dict[CameraId, CameraJob]:
    return {
        camera_id: CameraJob(
            camera_id=camera_id,
            line=LineId(LINE),
            station="s",
            model="numbers",
            recipe="r",
            config_hash="h",
            source_kind="kafka",
            track=TrackSettings(),
            zones=ZonesSettings(),
            health=HealthSettings(),
        )
        for camera_id in cameras
    }


@asynccontextmanager
async def reading(
    settings: TopicSettings,
    redis: RedisSettings,
    cameras: Sequence[CameraId],
    workshop: Path,
    name: str = "kafka-frames-1",
    graph: LocalGraph | None = None,
) -> AsyncIterator[TopicShard]:
    """One reader; on leaving it stops as it would when told to."""
    graph = graph or LocalGraph(redis, jobs_of(cameras), workshop)
    streams = RedisStreams(redis)

    async def stored_place(camera_id: CameraId) -> StoredPlace | None:
        stored = await streams.load(camera_id, LINE)
        return None if stored.cursor is None else StoredPlace(Position.decode(stored.cursor), stored.captured_at)

    marks = TopicMarks(RedisLink(redis), TOPIC, settings.group)
    shard = TopicShard(
        name, TOPIC, settings, 8, CarrierSettings(), graph, marks, stored_place, Metrics(NullMeter())
    )  # fmt: skip
    shard.start()
    await shard.apply({c: CameraTask(CameraSettings(camera_id=c, url="kafka:frames")) for c in cameras})
    try:
        yield shard
        assert shard.failure() is None
    finally:
        await shard.stop(60.0)
        await streams.close()
        await graph.close()


async def make_topic(address: str, partitions: int, **options: Any) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address, **options)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, partitions, 1)])
    finally:
        await admin.close()


async def send(address: str, records: Iterable[Record], partition: int | None = None, **options: Any) -> None:
    """Each in a batch of its own: the test broker tells wrong ends of longer ones."""
    producer = AIOKafkaProducer(
        bootstrap_servers=address, acks="all", max_request_size=50_000_000, max_batch_size=1, **options
    )
    await producer.start()
    try:
        waiting = []
        for key, value in records:
            raw = key.encode() if isinstance(key, str) else key
            waiting.append(await producer.send(TOPIC, value, key=raw, partition=partition))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


async def published(redis: RedisSettings, camera: str) -> list[dict[str, Any]]:
    async with StreamReader(redis) as reader:
        entries = await reader.read(camera_keys(LINE, camera).detections, count=100_000)
    return [orjson.loads(entry.data) for entry in entries]


async def numbers(redis: RedisSettings, camera: str) -> list[int]:
    return [number_of(message["objects"][0]["box"]) for message in await published(redis, camera)]


async def events(redis: RedisSettings, camera: str) -> list[dict[str, Any]]:
    async with StreamReader(redis) as reader:
        entries = await reader.read(camera_keys(LINE, camera).events, count=100_000)
    return [orjson.loads(entry.data) for entry in entries]


async def until(what: str, condition: Callable[[], Any], timeout_s: float = 90.0) -> None:
    """Until the coroutine that `condition` makes answers something true. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout_s:g} s")
        await asyncio.sleep(0.05)


async def everything(address: str, topic: str) -> list[Any]:
    """All records of a topic, in the order of their time."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.topics()
        if not (partitions := consumer.partitions_for_topic(topic)):
            return []
        consumer.assign([TopicPartition(topic, number) for number in partitions])
        await consumer.seek_to_beginning()
        found: list[Any] = []
        ends = await consumer.end_offsets(consumer.assignment())
        while sum([await consumer.position(tp) for tp in ends]) < sum(ends.values()):
            for of_one in (await consumer.getmany(timeout_ms=500)).values():
                found += of_one
        return sorted(found, key=lambda record: record.timestamp)
    finally:
        await consumer.stop()
