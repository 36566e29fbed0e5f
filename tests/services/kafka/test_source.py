"""A topic's messages are published once each and in order, whoever reads, dies, or loses what."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.sinks.redis_streams import RedisSettings
from tests.kafka_broker import KafkaBroker
from tests.redis_server import RedisServer, free_port
from tests.services.kafka.rig import (
    TOPIC,
    LocalGraph,
    events,
    everything,
    h264,
    jobs_of,
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


async def test_messages_of_all_partitions_are_published_in_order_with_their_time_and_place(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path
) -> None:
    await make_topic(broker.address, 3)
    await send(broker.address, [(camera, jpeg(n)) for n in range(20) for camera in names(4)])
    async with reading(topic, redis, names(4), tmp_path):
        for camera in names(4):
            await until(f"all of {camera}", lambda: has(redis, camera, 20))  # noqa: B023 - awaited at once
            assert await numbers(redis, camera) == list(range(20))
    first = (await published(redis, "cam-0"))[0]
    assert first["source"]["kind"] == "kafka"
    assert first["source"]["position"].startswith(f"kafka:{TOPIC}/")
    assert first["clock"] == "message"
    assert first["dropped_since_last"] == {}


async def test_a_reader_goes_on_where_the_one_before_stopped(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path
) -> None:
    await make_topic(broker.address, 2)
    for run in range(2):
        await send(broker.address, [("cam-0", jpeg(n)) for n in range(run * 10, run * 10 + 10)])
        async with reading(topic, redis, names(1), tmp_path):
            await until("the messages", lambda: has(redis, "cam-0", run * 10 + 10))  # noqa: B023 - awaited at once
    messages = await published(redis, "cam-0")
    assert await numbers(redis, "cam-0") == list(range(20))
    assert len({m["message_id"] for m in messages}) == 20


async def test_two_readers_share_the_partitions_and_hand_them_over_without_loss(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path
) -> None:
    cameras = names(6)
    await make_topic(broker.address, 4)

    async def sending() -> None:
        for n in range(60):
            await send(broker.address, [(camera, jpeg(n)) for camera in cameras])

    async with reading(topic, redis, cameras, tmp_path, "kafka-frames-1"):
        task = asyncio.create_task(sending())
        await until("the first", lambda: has(redis, "cam-0", 10))
        async with reading(topic, redis, cameras, tmp_path, "kafka-frames-2") as second:
            await until("its share", lambda: owns(second))
            await until("more", lambda: has(redis, "cam-0", 30))
        await task
        for camera in cameras:
            await until(f"all of {camera}", lambda: has(redis, camera, 60))  # noqa: B023 - awaited at once
    for camera in cameras:
        assert await numbers(redis, camera) == list(range(60))


async def test_what_redis_lost_is_read_again_and_a_dead_track_replica_costs_nothing(
    broker: KafkaBroker, redis: RedisSettings, server: RedisServer, topic: TopicSettings, tmp_path: Path
) -> None:
    cameras = names(2)
    await make_topic(broker.address, 1)
    graph = LocalGraph(redis, jobs_of(cameras), tmp_path)
    async with reading(topic, redis, cameras, tmp_path, graph=graph):
        await send(broker.address, [(camera, jpeg(n)) for n in range(20) for camera in cameras])
        await until("half", lambda: has(redis, "cam-1", 20))
        server.remember()
        await send(broker.address, [(camera, jpeg(n)) for n in range(20, 40) for camera in cameras])
        await until("all", lambda: has(redis, "cam-1", 40))
        server.roll_back()
        await graph.replace()
        await send(broker.address, [("cam-0", jpeg(n)) for n in range(40, 50)])  # nothing more of cam-1
        await until("all of cam-0", lambda: has(redis, "cam-0", 50))
        await until("all of cam-1 again", lambda: has(redis, "cam-1", 40))
    assert await numbers(redis, "cam-0") == list(range(50))
    assert await numbers(redis, "cam-1") == list(range(40))


async def test_coded_video_goes_on_between_two_keyframes_whatever_was_lost(
    broker: KafkaBroker, redis: RedisSettings, server: RedisServer, topic: TopicSettings, tmp_path: Path
) -> None:
    units = h264(60)
    await make_topic(broker.address, 1)
    await send(broker.address, [("cam-0", unit) for unit in units[:17]])
    async with reading(topic, redis, names(1), tmp_path):
        await until("the first", lambda: has(redis, "cam-0", 17))
    server.remember()
    await send(broker.address, [("cam-0", unit) for unit in units[17:44]])
    async with reading(topic, redis, names(1), tmp_path):
        await until("more", lambda: has(redis, "cam-0", 44))
        server.roll_back()
        await send(broker.address, [("cam-0", unit) for unit in units[44:]])
        await until("all", lambda: has(redis, "cam-0", 60))
    assert await numbers(redis, "cam-0") == list(range(60))
    assert not await everything(broker.address, f"{TOPIC}.dead-letters")


async def test_what_gives_no_picture_is_a_dead_letter_and_the_partition_goes_on(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path
) -> None:
    await make_topic(broker.address, 1)
    bad = [("cam-0", jpeg(7)[:200]), ("cam-0", b""), ("cam-0", None), ("Not A Name", jpeg(1)), ("other", jpeg(1))]
    async with reading(topic, redis, names(1), tmp_path):
        await send(broker.address, [("cam-0", jpeg(0)), *bad, ("cam-0", jpeg(1))])
        await until("the last", lambda: has(redis, "cam-0", 2))
    found = await everything(broker.address, f"{TOPIC}.dead-letters")
    letters = sorted(found, key=lambda letter: int(dict(letter.headers)["rayline-offset"]))
    codes = [dict(letter.headers)["rayline-code"].decode() for letter in letters]
    assert codes == ["truncated", "empty", "empty", "bad_key", "unknown_camera"]
    assert [letter.value for letter in letters] == [value for _, value in bad]
    last = (await published(redis, "cam-0"))[-1]
    assert last["dropped_since_last"] == {"truncated": 1, "empty": 2}
    assert last["seq"] == 4


async def test_a_camera_in_two_partitions_is_told_and_what_comes_in_the_second_is_a_dead_letter(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path
) -> None:
    await make_topic(broker.address, 2)
    async with reading(topic, redis, names(1), tmp_path):
        await send(broker.address, [("cam-0", jpeg(0))], partition=0)
        await until("the first", lambda: has(redis, "cam-0", 1))
        await send(broker.address, [("cam-0", jpeg(9))], partition=1)
        await send(broker.address, [("cam-0", jpeg(1))], partition=0)
        await until("the next", lambda: has(redis, "cam-0", 2))
        await until("the event", lambda: told(redis, "partitions 0 and 1"))
    assert await numbers(redis, "cam-0") == [0, 1]
    (letter,) = await everything(broker.address, f"{TOPIC}.dead-letters")
    assert dict(letter.headers)["rayline-code"] == b"in_two_partitions"


async def test_a_camera_that_moved_goes_on_where_it_is_now_whoever_reads_next(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.kafka.cameras.ELSEWHERE_S", 0.0)
    await make_topic(broker.address, 2)
    numbers_in = [(0, range(5)), (1, range(5, 10)), (1, range(10, 12)), (0, range(12, 15)), (0, range(15, 17))]
    for run in ((0, 1), (2,), (3,), (4,)):
        async with reading(topic, redis, names(1), tmp_path):
            for partition, these in (numbers_in[step] for step in run):
                await send(broker.address, [("cam-0", jpeg(n)) for n in these], partition=partition)
                await until("the next", lambda: has(redis, "cam-0", these.stop))  # noqa: B023 - awaited at once
    assert await numbers(redis, "cam-0") == list(range(17))


async def test_a_camera_that_moves_and_comes_back_is_published_once(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.kafka.cameras.ELSEWHERE_S", 0.0)
    await make_topic(broker.address, 2)
    async with reading(topic, redis, names(1), tmp_path):
        for partition, these in ((0, range(5)), (1, range(5, 10)), (0, range(10, 15))):
            await send(broker.address, [("cam-0", jpeg(n)) for n in these], partition=partition)
            await until("the next", lambda: has(redis, "cam-0", these.stop))  # noqa: B023 - awaited at once
    assert await numbers(redis, "cam-0") == list(range(15))


async def test_brokers_that_do_not_answer_are_told_and_come_back(
    broker: KafkaBroker, redis: RedisSettings, topic: TopicSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.kafka.consumer.LOOK_S", 0.5)
    monkeypatch.setattr("pipeline.ingest.kafka.consumer.ANSWER_S", 0.5)
    await make_topic(broker.address, 1)
    async with reading(topic, redis, names(1), tmp_path) as shard:
        await send(broker.address, [("cam-0", jpeg(0))])
        await until("the first", lambda: has(redis, "cam-0", 1))
        broker.freeze()
        await until("the loss to be told", lambda: state(shard, "reconnecting"))
        broker.thaw()
        await send(broker.address, [("cam-0", jpeg(1))])
        await until("the next", lambda: has(redis, "cam-0", 2))
        await until("its return", lambda: state(shard, "running"))
    assert await numbers(redis, "cam-0") == [0, 1]


async def test_brokers_that_let_nobody_in_are_named(redis: RedisSettings, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with reading(TopicSettings(brokers=[address]), redis, names(1), tmp_path) as shard:
        await until("the loss to be told", lambda: state(shard, "reconnecting"))
        (figures,) = shard.figures()
        assert f"broker {address}: ConnectionRefusedError" in (figures.status.last_error or "")


async def has(redis: RedisSettings, camera: str, count: int) -> bool:
    return len(await published(redis, camera)) >= count


async def owns(shard: object) -> bool:
    return bool(shard._consumer.partitions)  # type: ignore[attr-defined]


async def told(redis: RedisSettings, text: str) -> bool:
    return any(text in event["data"].get("reason", "") for event in await events(redis, "cam-0"))


async def state(shard: object, wanted: str) -> bool:
    return any(figures.status.state.value == wanted for figures in shard.figures())  # type: ignore[attr-defined]
