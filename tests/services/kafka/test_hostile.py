"""Hostile messages among good ones: each is a dead letter with its reason, and memory is bounded."""

from __future__ import annotations

import random
import struct
import zlib
from collections import Counter
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from pipeline.ingest.kafka.message_settings import MessageSettings
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.sinks.redis_streams import RedisSettings
from tests.kafka_broker import KafkaBroker
from tests.services.kafka.rig import (
    TOPIC,
    Record,
    everything,
    jpeg,
    make_topic,
    names,
    numbers,
    published,
    reading,
    send,
    until,
)

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

MOST_BYTES = 200_000
MOST_GROWTH_BYTES = 300 * 2**20  # of this process, over what the good messages alone take


def giant_png() -> bytes:
    """A valid header of 50,000 x 50,000 pixels, and a few bytes behind it."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def giant_jpeg() -> bytes:
    """A good JPEG whose header says 50,000 x 50,000."""
    data = bytearray(jpeg(1))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 50_000, 50_000)
    return bytes(data)


def hostile(number: int, rng: random.Random) -> Record:
    good = jpeg(number)
    kinds: list[Record] = [
        ("cam-0", good[: rng.randrange(20, len(good) - 20)]),
        ("cam-0", giant_png() if number % 2 else giant_jpeg()),
        ("cam-0", rng.randbytes(rng.randrange(1, 5000))),
        ("cam-0", b""),
        ("cam-0", None),
        (rng.choice(["nobody", "No Name!", "", b"\xff\xfe\x00", None]), good),
        ("cam-0", good + bytes(MOST_BYTES)),
    ]
    return kinds[number % len(kinds)]


@pytest.mark.parametrize("count", [70, pytest.param(1000, marks=pytest.mark.slow)])
async def test_good_messages_are_published_and_hostile_ones_are_dead_letters(
    count: int, broker: KafkaBroker, redis: RedisSettings, tmp_path: Path
) -> None:
    rng = random.Random(5)
    await make_topic(broker.address, 1)
    records: list[Record] = [("cam-0", jpeg(n)) for n in range(count)] + [hostile(n, rng) for n in range(count)]
    mixed = [*range(2 * count)]
    rng.shuffle(mixed)
    mixed.sort(key=lambda n: n if n < count else rng.randrange(count))  # the good ones keep their order
    settings = TopicSettings(
        brokers=[broker.address], messages=MessageSettings(max_message_bytes=MOST_BYTES), max_buffered_bytes=2**22
    )
    memory = psutil.Process().memory_info

    async def all_done() -> bool:
        return shard._consumer.partitions[0].mark().offset == 2 * count + 1

    async with reading(settings, redis, names(1), tmp_path) as shard:
        await send(broker.address, [("cam-0", jpeg(count))])
        await until("the first", lambda: has(redis, 1))
        before = memory().rss
        await send(broker.address, [records[n] for n in mixed])
        await until("all of it", all_done, 200)
        grown = memory().rss - before
    assert await numbers(redis, "cam-0") == [count, *range(count)]
    letters = await everything(broker.address, f"{TOPIC}.dead-letters")
    sources = [int(dict(letter.headers)["rayline-offset"]) for letter in letters]
    expected = {place + 1 for place, n in enumerate(mixed) if n >= count}
    assert sorted(sources) == sorted(expected)
    assert all(dict(letter.headers)["rayline-reason"] for letter in letters)
    codes = Counter(dict(letter.headers)["rayline-code"].decode() for letter in letters)
    assert {"truncated", "too_many_pixels", "empty", "bad_key", "unknown_camera", "too_large"} <= set(codes)
    assert grown < MOST_GROWTH_BYTES


async def has(redis: RedisSettings, count: int, camera: str = "cam-0") -> bool:
    return len(await published(redis, camera)) >= count


async def test_a_header_that_no_client_can_read_costs_its_own_batch_and_no_other(
    broker: KafkaBroker, redis: RedisSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await make_topic(broker.address, 2)
    settings = TopicSettings(brokers=[broker.address])
    async with reading(settings, redis, names(2), tmp_path) as shard:
        await send(broker.address, [("cam-0", jpeg(n)) for n in range(5)], partition=0)
        await send_with_strange_header(broker.address, "cam-0", [jpeg(5), jpeg(6), jpeg(7)])
        await send(broker.address, [("cam-0", jpeg(n)) for n in range(10, 15)], partition=0)
        await send(broker.address, [("cam-1", jpeg(n)) for n in range(20)], partition=1)
        await until("all of cam-1", lambda: has(redis, 20, "cam-1"))
        await until("those behind it", lambda: has(redis, 11))
        assert shard.failure() is None
    assert await numbers(redis, "cam-0") == [*range(6), *range(10, 15)]
    assert await numbers(redis, "cam-1") == list(range(20))
    assert [r.levelname for r in caplog.records if "no UTF-8" in r.message] == ["ERROR"]


async def send_with_strange_header(address: str, camera: str, values: list[bytes]) -> None:
    """One batch; the second message has a header whose name is no UTF-8, as clients that are not Java's can send."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    try:
        batch = producer.create_batch()
        for n, value in enumerate(values):
            headers = [("NAME" if n == 1 else "good", b"")]
            batch.append(timestamp=None, key=camera.encode(), value=value, headers=headers)
        batch.close()
        data = bytearray(batch._build())
        at = data.index(b"NAME")
        data[at : at + 4] = b"\xff\xfe\xfd\xfc"
        data[17:21] = struct.pack(">I", calc_crc32c(bytes(data[21:])))
        batch._buffer = data
        await (await producer.send_batch(batch, TOPIC, partition=0))
    finally:
        await producer.stop()
