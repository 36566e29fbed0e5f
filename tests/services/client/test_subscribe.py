"""`subscribe`: acked once the body succeeded, by whichever consumer that was."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from redis import Redis

from pipeline.client import EntriesLost, EntriesLostError, Message, Subscription, subscribe
from pipeline.sinks.errors import SinkRefused
from stages.results.models import DetectionMessage, EventMessage, InspectionMessage, UninspectedMessage
from tests.redis_server import BINARIES, RedisServer, redis_server
from tests.services.client.publisher import Publisher
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

SECRET = "pa55-w0rd"

KILLED = """
import asyncio, sys
from pipeline.client import subscribe

async def main(url, line):
    async for message in subscribe("inspections", group="erp", url=url, line=line):
        print(message.message_id, flush=True)
        await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


def messages(server: RedisServer, line: str, *topics: str, **options: object) -> Subscription:
    return subscribe(*(topics or ("inspections",)), group="erp", url=server.url, line=line, **options)  # type: ignore[arg-type]


async def take(subscription: Subscription, count: int) -> list[Message]:
    """So many, all acked."""
    taken: list[Message] = []
    async with asyncio.timeout(60), subscription:
        async for message in subscription:
            taken.append(message)
            if len(taken) == count:
                await subscription.ack(message)
                return taken
    raise AssertionError("the loop ended")


async def fail_on(message_id: str, subscription: Subscription) -> list[str]:
    """What a body was given until it raised."""
    given: list[str] = []
    with suppress(ZeroDivisionError):
        async with asyncio.timeout(60), subscription:
            async for message in subscription:
                given.append(message.message_id)
                if message.message_id == message_id:
                    raise ZeroDivisionError
    return given


def ids(taken: list[Message]) -> list[str]:
    return [message.message_id for message in taken]


async def test_every_topic_comes_as_its_model(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1)
    publisher.gap(2)
    publisher.frames(3)
    publisher.event(4)
    taken = await take(messages(server, line, "inspections", "detections", "events"), 4)
    kinds = {type(message.body) for message in taken}
    assert kinds == {InspectionMessage, UninspectedMessage, DetectionMessage, EventMessage}
    part = next(message for message in taken if message.entry_id == "1-0")
    assert (part.stream, part.message_id, part.tries) == (publisher.inspections, "1", 1)
    assert b'"inspection_id":"1"' in part.data


async def test_a_message_is_acked_when_the_body_comes_back_and_not_before(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1, 2)
    seen = []
    async with messages(server, line) as subscription:
        async for _ in subscription:
            seen.append(publisher.pending("erp"))
            if len(seen) == 2:
                break
    assert seen == [2, 1]  # both are fetched at once
    assert publisher.pending("erp") == 1  # the loop was left


async def test_an_ack_after_the_loop_was_left_is_refused_in_words(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1)
    async with messages(server, line) as subscription:
        message = await anext(aiter(subscription))
    with pytest.raises(RuntimeError, match="1-0: the loop was left, ack before"):
        await subscription.ack(message)
    assert publisher.pending("erp") == 1


async def test_what_a_body_failed_on_is_given_again_at_once_and_only_that_was_a_try(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1, 2, 3)
    assert await fail_on("2", messages(server, line)) == ["1", "2"]
    taken = await take(messages(server, line), 2)
    assert [(message.message_id, message.tries) for message in taken] == [("2", 2), ("3", 1)]
    assert publisher.pending("erp") == 0


async def test_a_body_that_fails_each_time_has_its_message_go_to_the_dead_letters(
    server: RedisServer, line: str, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    publisher.parts(1, 2)
    given = [await fail_on(number, messages(server, line, max_tries=2)) for number in "112"]
    assert given == [["1"], ["1"], ["2"]]
    (letter,) = publisher.dead("erp")
    assert letter["data"].startswith('{"message_id":"1"')
    assert letter | {"data": "", "at": ""} == {
        "message_id": "1",
        "data": "",
        "stream": publisher.inspections,
        "entry_id": "1-0",
        "tries": "3",
        "error": "given 2 times and never acked",
        "at": "",
    }
    assert "1-0 goes to rayline:{" in caplog.text


async def test_what_cannot_be_read_goes_to_the_dead_letters_at_once(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.rubbish(1)
    publisher.parts(2)
    assert ids(await take(messages(server, line), 1)) == ["2"]
    (letter,) = publisher.dead("erp")
    assert (letter["message_id"], letter["tries"]) == ("1", "1")
    assert "inspection_id: Field required" in letter["error"]
    assert publisher.pending("erp") == 0


async def test_dead_letters_are_bounded(server: RedisServer, line: str, publisher: Publisher) -> None:
    for number in range(1, 251):
        publisher.rubbish(number)
    publisher.parts(300)
    await take(messages(server, line, maxlen_dead=100), 1)
    assert 100 <= len(publisher.dead("erp")) <= 200  # ~ keeps whole nodes of 100


async def test_what_a_killed_process_was_at_is_given_to_another(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1, 2)
    command = (sys.executable, "-c", KILLED, server.url, line)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"1\n"
    process.kill()
    await process.wait()
    taken = await take(messages(server, line, claim_after_s=0.3), 2)
    assert [(message.message_id, message.tries) for message in taken] == [("1", 2), ("2", 2)]


async def test_one_that_is_only_slow_keeps_its_messages(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1, 2)
    slow = messages(server, line, claim_after_s=2.0)
    other = messages(server, line, claim_after_s=2.0)
    async with slow, other, aclosing(aiter(slow)) as slowly, aclosing(aiter(other)) as others:
        assert (await anext(slowly)).message_id == "1"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(others), 3.0)
        assert (await anext(slowly)).message_id == "2"


async def test_lost_entries_are_raised_and_reading_again_goes_on_behind_them(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1)
    await take(messages(server, line), 1)
    publisher.parts(*range(2, 9))
    publisher.client.xtrim(publisher.inspections, maxlen=2, approximate=False)
    subscription = messages(server, line)
    with pytest.raises(EntriesLostError, match=r"after 1-0 and before 7-0") as raised:
        await take(subscription, 1)
    assert raised.value.lost == EntriesLost(publisher.inspections, "1-0", "7-0")
    assert ids(await take(subscription, 2)) == ["7", "8"]


async def test_each_stream_that_lost_entries_is_raised(server: RedisServer, line: str, publisher: Publisher) -> None:
    for camera in ("a", "b"):
        publisher.frames(1, camera=camera)
    await take(messages(server, line, "detections"), 2)
    for camera in ("a", "b"):
        publisher.frames(2, 3, 4, camera=camera)
        publisher.client.xtrim(publisher.detections(camera), maxlen=1, approximate=False)
    told = []
    for _ in range(2):
        with pytest.raises(EntriesLostError) as raised:
            await take(messages(server, line, "detections"), 3)
        told.append(raised.value.lost.stream)
    assert sorted(told) == [publisher.detections("a"), publisher.detections("b")]
    taken = await take(messages(server, line, "detections"), 2)
    assert [message.entry_id for message in taken] == ["4-0", "4-0"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_who_wants_to_go_on_is_told_of_lost_entries(
    server: RedisServer, line: str, publisher: Publisher, asynchronous: bool
) -> None:
    publisher.parts(1)
    await take(messages(server, line), 1)
    publisher.parts(2, 3)
    publisher.client.xtrim(publisher.inspections, maxlen=1, approximate=False)
    told: list[EntriesLost] = []

    async def tell(lost: EntriesLost) -> None:
        told.append(lost)

    taken = await take(messages(server, line, on_lost=tell if asynchronous else told.append), 1)
    assert (ids(taken), told) == (["3"], [EntriesLost(publisher.inspections, "1-0", "3-0")])


async def test_only_the_line_and_camera_asked_for_come(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1, camera="cam-1")
    publisher.parts(2, camera="cam-2")
    publisher.frames(3, camera="cam-1")
    publisher.frames(4, camera="cam-2")
    Publisher(publisher.client, f"{line}-2").parts(5, camera="cam-2")
    taken = await take(messages(server, line, "inspections", "detections", camera="cam-2"), 2)
    assert sorted(message.entry_id for message in taken) == ["2-0", "4-0"]
    assert publisher.pending("erp") == 0


@pytest.mark.parametrize(
    ("dedupe", "given"),
    [(0, [1, 2, 3, 4, 5, 6, 9]), (2, [1, 2, 3, 4, 5, 6, 9]), (3, [1, 2, 3, 9])],
    ids=["not asked for", "longer ago than asked for", "asked for"],
)
async def test_repeats_are_passed_over_where_that_is_asked_for(
    server: RedisServer, line: str, publisher: Publisher, dedupe: int, given: list[int]
) -> None:
    def repeat(message_id: str, number: int) -> None:
        fields = publisher.client.xrange(publisher.inspections, f"{message_id}-0", f"{message_id}-0")[0][1]
        publisher.client.xadd(publisher.inspections, fields, id=f"{number}-0")

    publisher.parts(1, 2, 3)
    for number, message_id in enumerate("123", start=4):
        repeat(message_id, number)
    publisher.parts(9)
    taken = await take(messages(server, line, dedupe=dedupe), len(given))
    assert [message.entry_id for message in taken] == [f"{number}-0" for number in given]


@pytest.mark.parametrize("version", list(BINARIES))
async def test_redis_may_restart_in_the_middle(version: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "pipeline.client")
    with redis_server(tmp_path, version, keep=True, password=SECRET) as server, Redis.from_url(server.url) as client:
        publisher = Publisher(client, "l")
        publisher.parts(1, 2)
        seen: list[str] = []

        async def start_once_missed() -> None:
            while "waiting for redis" not in caplog.text:  # noqa: ASYNC110 - a log sets no event
                await asyncio.sleep(0.05)
            await asyncio.to_thread(server.start)

        async with asyncio.timeout(60), messages(server, "l") as subscription:
            async for message in subscription:
                seen.append(message.message_id)
                if message.message_id == "1":
                    server.kill()
                    starting = asyncio.create_task(start_once_missed())
                elif message.message_id == "2":
                    publisher.parts(3)
                else:
                    await subscription.ack(message)
                    break
        await starting
        assert seen == ["1", "2", "3"]
        assert publisher.pending("erp") == 0
    waiting = [record.message for record in caplog.records if "waiting for redis" in record.message]
    assert len(waiting) == 1
    assert SECRET not in caplog.text
    assert SECRET not in repr(vars(subscription))


async def test_a_wrong_password_is_raised_without_it(tmp_path: Path) -> None:
    with redis_server(tmp_path, password="another") as server:
        url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
        with pytest.raises(SinkRefused) as raised:
            await take(subscribe("events", group="erp", url=url), 1)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("away", [False, True], ids=["waiting for messages", "waiting for redis"])
async def test_cancelling_ends_it_promptly_and_leaves_nothing_open(
    tmp_path: Path, away: bool, stopwatch: Stopwatch
) -> None:
    with redis_server(tmp_path) as server:
        before = asyncio.all_tasks()
        reading = asyncio.create_task(take(messages(server, "l"), 1))
        await asyncio.sleep(0.2)
        if away:
            server.kill()
            await asyncio.sleep(0.5)
        stopwatch.restart()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert stopwatch.seconds < 1.5
        assert asyncio.all_tasks() == before
        if not away:
            with Redis.from_url(server.url) as client:
                assert len(client.client_list()) == 1


async def test_another_task_cannot_close_a_loop_that_waits_but_cancel_it(server: RedisServer, line: str) -> None:
    subscription = messages(server, line)
    reading = asyncio.create_task(take(subscription, 1))
    while not any(loop.ag_running for loop in subscription._loops):  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    with pytest.raises(RuntimeError, match="cancel that task"):
        await subscription.aclose()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await subscription.aclose()


async def test_a_cancellation_asked_for_in_the_body_is_not_lost(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    """As Ctrl-C asks for it: raised not there, but where the body next waits."""
    publisher.parts(1, 2, 3)

    async def cancelled_in_the_body() -> None:
        async with messages(server, line) as subscription:
            async for message in subscription:
                if message.message_id == "3":
                    task.cancel()

    task = asyncio.create_task(cancelled_in_the_body())
    done, _ = await asyncio.wait([task], timeout=60)
    assert done
    assert task.cancelled()


def test_what_a_program_leaves_when_it_ends_is_there_for_the_next(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    """Each with an event loop of its own, which ends with it."""
    publisher.parts(1, 2)
    for number in "12":
        assert ids(asyncio.run(take(messages(server, line), 1))) == [number]


async def test_a_bare_loop_that_is_left_lets_go_too(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, Redis.from_url(server.url) as client:
        Publisher(client, "l").parts(1)
        async for _ in messages(server, "l"):
            break
        async with asyncio.timeout(60):
            while len(client.client_list()) > 1 or len(asyncio.all_tasks()) > 1:
                gc.collect()
                await asyncio.sleep(0.05)
        assert len(client.client_list()) == 1
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("topics", "options", "told"),
    [
        ((), {}, "at least one topic"),
        (("inspection",), {}, "'inspection' is not one of detections, events, inspections"),
        (("events",), {"line": "a}b"}, "'a}b' cannot be a line"),
        (("events",), {"group": "a:b"}, "cannot be a group name"),
        (("events",), {"start": "yesterday"}, "neither 0"),
        (("events",), {"max_try": 3}, "max_try: Extra inputs"),
        (("events",), {"url": "embedded"}, "embedded"),
        (("events",), {"url": f"http://me:{SECRET}@h"}, "must be redis://"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(topics: tuple[str, ...], options: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told) as raised:
        subscribe(*topics, **{"group": "erp", **options})  # type: ignore[arg-type]
    assert SECRET not in str(raised.value)
