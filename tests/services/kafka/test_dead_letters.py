"""Dead letters in a real broker: listed, sent back once, and told clearly where the broker is away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.commands.dead_letters import send_back, show
from pipeline.ingest.kafka.dead_letter_topic import (
    COMMIT_EVERY,
    DeadLetterTopics,
    KafkaAway,
    NoSuchTopic,
    newest,
    redrive,
    redrive_these,
)
from pipeline.ingest.kafka.dead_letters import dead_letter
from pipeline.ingest.kafka.message import MessageRefused, RawMessage
from pipeline.kafka_settings import KafkaConnection
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.messages import AT_MS
from tests.services.relay.produce_gate import gated_broker
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    level = logging.getLogger("aiokafka").level
    with kafka_broker() as running:
        yield running
    logging.getLogger("aiokafka").setLevel(level)


@pytest.fixture
def topics(broker: KafkaBroker) -> DeadLetterTopics:
    return DeadLetterTopics("pictures", "pictures.dead-letters", "rayline", KafkaConnection(brokers=(broker.address,)))


def refused(offset: int, code: str = "truncated", value: bytes = b"picture", partition: int = 0) -> RawMessage:
    return RawMessage("pictures", partition, offset, b"cam-1", value, (("a", b"1"),), AT_MS + offset)


async def lay(topics: DeadLetterTopics, *letters: tuple[RawMessage, str], most_bytes: int = 10**8) -> None:
    """One dead letter after another, all in partition 0."""
    async with AIOKafkaProducer(**topics.client(), max_batch_size=1, max_request_size=10**9) as producer:
        for number, (message, code) in enumerate(letters):
            record = dead_letter(message, MessageRefused(code, f"refused: {code}"), 1.7e9 + number, most_bytes)
            await producer.send_and_wait(
                topics.dead_letter_topic, record[1], record[0], partition=0, headers=list(record[2])
            )


async def came_back(topics: DeadLetterTopics) -> list[tuple[int, bytes | None, int, dict[str, bytes]]]:
    """(partition, value, timestamp, headers) of all that lies in the original topic."""
    found = []
    async with AIOKafkaConsumer(**topics.client(), fetch_max_wait_ms=20, max_partition_fetch_bytes=10**8) as consumer:
        for number in sorted(consumer.partitions_for_topic(topics.topic) or await _known(consumer, topics.topic)):
            at = TopicPartition(topics.topic, number)
            consumer.assign([at])
            end = (await consumer.end_offsets([at]))[at]
            consumer.seek(at, 0)
            while await consumer.position(at) < end:
                for record in (await consumer.getmany(at, timeout_ms=500)).get(at, []):
                    found.append((record.partition, record.value, record.timestamp, dict(record.headers)))
    return found


async def _known(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer.topics()
    return set(consumer.partitions_for_topic(topic) or ())


async def test_the_latest_letters_are_listed_without_their_bytes(topics: DeadLetterTopics) -> None:
    await lay(topics, *((refused(offset), "truncated") for offset in range(10)))
    letters = await newest(topics, 3)
    assert [letter.message.offset for letter in letters] == [7, 8, 9]
    assert [(letter.size_bytes, letter.message.value, letter.code) for letter in letters] == [
        (7, None, "truncated")
    ] * 3


async def test_before_the_first_letter_there_is_no_topic(topics: DeadLetterTopics) -> None:
    with pytest.raises(NoSuchTopic, match="first dead letter"):
        await newest(topics, 3)


async def test_a_message_goes_back_as_it_was_and_only_once(topics: DeadLetterTopics) -> None:
    large = bytes(range(256)) * 10_000
    await lay(topics, (refused(0, partition=2), "truncated"), (refused(1, value=large), "fetch_failed"))
    assert (await redrive(topics)).sent == 2
    assert (await redrive(topics)).sent == 0
    ours = {"a": b"1", "rayline-redriven": b"1"}
    assert sorted(await came_back(topics)) == [(0, large, AT_MS + 1, ours), (2, b"picture", AT_MS, ours)]
    await lay(topics, (refused(2), "truncated"))
    assert (await redrive(topics)).sent == 1


async def test_one_code_goes_back_and_later_the_others_without_it(topics: DeadLetterTopics) -> None:
    codes = ["truncated", "fetch_failed", "bad_time", "fetch_failed"]
    await lay(topics, *((refused(offset, value=b"%d" % offset), code) for offset, code in enumerate(codes)))
    assert (await redrive(topics, "fetch_failed")).sent == 2
    assert (await redrive(topics, "fetch_failed")).sent == 0
    assert sorted(value for _, value, _, _ in await came_back(topics)) == [b"1", b"3"]
    assert (await redrive(topics)).sent == 2
    assert sorted(value for _, value, _, _ in await came_back(topics)) == [b"0", b"1", b"2", b"3"]
    assert (await redrive(topics, "bad_time")).sent == 0


async def test_letters_named_by_offset_go_back_always(topics: DeadLetterTopics) -> None:
    await lay(topics, *((refused(offset, value=b"%d" % offset), "truncated") for offset in range(4)))
    for _ in range(2):
        assert (await redrive_these(topics, 0, [1, 3])).sent == 2
    assert sorted(value for _, value, _, _ in await came_back(topics)) == [b"1", b"1", b"3", b"3"]
    assert (await redrive(topics)).sent == 4  # what was named is not remembered
    with pytest.raises(NoSuchTopic, match="offsets 0 to 3, and no 4"):
        await redrive_these(topics, 0, [4])


async def test_letters_without_bytes_and_strange_records_are_passed_and_told(topics: DeadLetterTopics) -> None:
    await lay(topics, (refused(0, value=bytes(5000)), "too_large"), most_bytes=1000)
    async with AIOKafkaProducer(**topics.client()) as producer:
        await producer.send_and_wait(topics.dead_letter_topic, b"no dead letter", partition=0)
    await lay(topics, (refused(1), "truncated"))
    done = await redrive(topics)
    assert (done.sent, done.cut, done.strange) == (1, 1, 1)
    assert len(await newest(topics, 10)) == 2


def test_the_command_shows_letters_to_people_and_programs(
    topics: DeadLetterTopics, capsys: pytest.CaptureFixture[str]
) -> None:
    show(topics, 10, as_json=False)
    assert "no dead letters of pictures" in capsys.readouterr().err
    steering = RawMessage("pictures", 0, 5, b"\x1b[2J\xff", b"picture", (), AT_MS)
    asyncio.run(lay(topics, (refused(4), "truncated"), (steering, "bad_key")))
    show(topics, 10, as_json=False)
    told = capsys.readouterr().out
    assert "cam-1" in told
    assert "\x1b[2J" not in told
    show(topics, 10, as_json=True)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["from_topic"], first["from_partition"], first["from_offset"], first["key"]) == (
        "pictures",
        0,
        4,
        "cam-1",
    )
    assert (first["code"], first["reason"], first["bytes"]) == ("truncated", "refused: truncated", 7)
    assert second["key"] == "\x1b[2J\\xff"
    send_back(topics, None, 0, [])
    assert capsys.readouterr().out == "2 sent back to pictures\n"


async def test_a_broker_that_goes_in_the_middle_is_told_with_how_far_it_came(
    broker: KafkaBroker, topics: DeadLetterTopics, stopwatch: Stopwatch
) -> None:
    letters = [(refused(offset, value=b"%d" % offset), "truncated") for offset in range(400)]
    await lay(topics, *letters)
    at_work = asyncio.create_task(redrive(topics))
    while len(await came_back(topics)) < 20:
        assert not at_work.done()
    broker.freeze()
    stopwatch.restart()
    with pytest.raises(KafkaAway, match=r"no answer in time; \d+ messages had been sent back") as away:
        await at_work
    assert stopwatch.seconds < 10
    broker.thaw()
    sent = int(str(away.value).split("; ")[1].split()[0])
    rest = (await redrive(topics)).sent
    assert 400 - sent <= rest <= 400 - sent + COMMIT_EVERY  # what was not committed any more goes twice
    assert {value for _, value, _, _ in await came_back(topics)} == {b"%d" % offset for offset in range(400)}


@pytest.mark.parametrize("how", ["dead", "frozen"])
def test_a_broker_that_is_away_is_told_in_time_and_in_one_sentence(
    broker: KafkaBroker, topics: DeadLetterTopics, how: str, capfd: pytest.CaptureFixture[str], stopwatch: Stopwatch
) -> None:
    if how == "dead":
        broker.kill()
    else:
        broker.freeze()
    stopwatch.restart()
    with pytest.raises(typer.Exit) as left:
        show(topics, 10, as_json=False)
    assert left.value.exit_code == 2
    assert stopwatch.seconds < 10
    told = capfd.readouterr().err
    assert broker.address in told
    assert told.count("\n") == 1


async def test_a_wrong_password_is_told_as_one_and_not_shown() -> None:
    async with gated_broker() as (gate, _, address):
        gate.login = ("line-3", "another")
        login = {"security_protocol": "SASL_PLAINTEXT", "username": "line-3", "password": "pa55-w0rd"}
        connection = KafkaConnection.model_validate({"brokers": [address], **login})
        topics = DeadLetterTopics("pictures", "pictures.dead-letters", "rayline", connection)
        with pytest.raises(KafkaAway, match=r"broker 127.*SaslAuthenticationFailed: no such user") as away:
            await newest(topics, 1)
    assert "pa55-w0rd" not in f"{away.value} {topics}"
