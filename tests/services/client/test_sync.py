"""The client without asyncio."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.client import EntriesLostError, Message, sync
from tests.redis_server import RedisServer
from tests.services.client.publisher import Publisher
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

WAITING = """
import sys
from pipeline.client import sync

url, line = sys.argv[1:]
try:
    with sync.subscribe("inspections", group="erp", url=url, line=line) as messages:
        for message in messages:
            print(message.message_id, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def open_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "rayline-client"]


def messages(server: RedisServer, line: str, **options: object) -> sync.Subscription:
    return sync.subscribe("inspections", group="erp", url=server.url, line=line, **options)  # type: ignore[arg-type]


def test_messages_are_acked_when_the_body_comes_back(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1, 2, 3)
    seen = []
    with messages(server, line) as subscription:
        for message in subscription:
            seen.append((message.message_id, publisher.pending("erp")))
            if len(seen) == 3:
                subscription.ack(message)
                break
    assert seen == [("1", 3), ("2", 2), ("3", 1)]
    assert publisher.pending("erp") == 0
    assert open_threads() == []


def test_an_ack_after_the_loop_was_left_is_refused_in_words(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1)
    with messages(server, line) as subscription:
        message = next(iter(subscription))
    with pytest.raises(RuntimeError, match="1-0: the loop was left, ack before"):
        subscription.ack(message)
    assert publisher.pending("erp") == 1


def test_a_body_that_raises_has_not_acked(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1)

    def fail() -> None:
        for _ in messages(server, line):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert publisher.pending("erp") == 1
    with messages(server, line) as subscription:
        assert next(iter(subscription)).tries == 2
    assert open_threads() == []


def test_a_body_that_blocks_keeps_its_messages(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1, 2)
    with messages(server, line, claim_after_s=2.0) as subscription:
        mine = iter(subscription)
        assert next(mine).message_id == "1"
        time.sleep(2.5)
        idle = publisher.client.xpending_range(publisher.inspections, "erp", "-", "+", 9, idle=2000)
        assert idle == []


def test_lost_entries_are_raised(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1)
    with messages(server, line) as subscription:
        for message in subscription:
            subscription.ack(message)
            break
    publisher.parts(2, 3)
    publisher.client.xtrim(publisher.inspections, maxlen=1, approximate=False)
    with pytest.raises(EntriesLostError), messages(server, line) as subscription:
        next(iter(subscription))
    assert open_threads() == []


def test_a_handler_is_called_in_the_callers_thread_and_ends_by_ctrl_c(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1, 2)
    given: list[tuple[str, int]] = []

    def handler(message: Message) -> None:
        assert threading.current_thread() is threading.main_thread()
        given.append((message.message_id, message.tries))
        if len(given) == 1:
            raise ConnectionError
        if len(given) == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sync.consume("inspections", group="erp", url=server.url, line=line, handler=handler, retry_delay_s=0.1)
    assert given == [("1", 1), ("2", 1), ("1", 2)]
    assert publisher.pending("erp") == 1
    assert open_threads() == []


def test_what_is_kept_can_be_read(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.frames(1, 2, 3)
    kept = sync.read("detections", url=server.url, line=line, after="1-0", follow=False)
    assert [message.entry_id for message in kept] == ["2-0", "3-0"]
    assert open_threads() == []


def test_ctrl_c_ends_a_waiting_program_promptly(
    server: RedisServer, line: str, publisher: Publisher, stopwatch: Stopwatch
) -> None:
    publisher.parts(1)
    command = [sys.executable, "-c", WAITING, server.url, line]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        time.sleep(0.3)
        stopwatch.restart()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    assert stopwatch.seconds < 3
    assert publisher.pending("erp") == 0
