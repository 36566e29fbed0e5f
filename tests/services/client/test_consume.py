"""`consume`: what a handler fails on comes again later, others meanwhile, and goes to the dead letters in the end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from pipeline.client import Handler, Message, consume
from tests.redis_server import RedisServer
from tests.services.client.publisher import Publisher

pytestmark = pytest.mark.services


async def consuming(
    server: RedisServer, line: str, handler: Handler, until: Callable[[], bool], **options: object
) -> None:
    """Consume until that is so."""
    hasty = {"retry_delay_s": 0.1, **options}
    task = asyncio.create_task(
        consume("inspections", group="erp", url=server.url, line=line, handler=handler, **hasty)  # type: ignore[arg-type]
    )
    async with asyncio.timeout(60):
        while not until() and not task.done():  # noqa: ASYNC110 - what is waited for is on the server
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_failed_comes_again_later_and_others_meanwhile(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1, 2, 3)
    given: list[tuple[str, int]] = []

    async def handler(message: Message) -> None:
        given.append((message.message_id, message.tries))
        if given[-1] == ("1", 1):
            raise ConnectionError("no ERP")

    await consuming(server, line, handler, lambda: len(given) == 4 and publisher.pending("erp") == 0)
    assert given == [("1", 1), ("2", 1), ("3", 1), ("1", 2)]
    assert publisher.dead("erp") == []


async def test_after_its_last_try_it_is_a_dead_letter_with_the_error_masked(
    server: RedisServer, line: str, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    publisher.parts(1, 2)
    tries = []

    async def handler(message: Message) -> None:
        if message.message_id == "1":
            tries.append(message.tries)
            raise ValueError("no answer from http://erp:geheim@host/parts")

    await consuming(server, line, handler, lambda: bool(publisher.dead("erp")), max_tries=3)
    (letter,) = publisher.dead("erp")
    assert tries == [1, 2, 3]
    assert letter["tries"] == "3"
    assert letter["error"] == "ValueError: no answer from http://erp:***@host/parts"
    assert publisher.pending("erp") == 0
    assert "failed in try 2 of 3, again in 0.2 s" in caplog.text
    assert "geheim" not in caplog.text


async def test_a_plain_function_runs_beside_the_loop(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.parts(1)
    threads: list[int] = []
    await consuming(
        server,
        line,
        lambda _: threads.append(threading.get_ident()),
        lambda: bool(threads) and not publisher.pending("erp"),
    )
    assert threads != [threading.get_ident()]


async def test_tries_are_counted_over_restarts(server: RedisServer, line: str, publisher: Publisher) -> None:
    """Each time the process ends in the middle of the handler."""
    publisher.parts(1)
    given: list[int] = []

    async def handler(message: Message) -> None:
        given.append(message.tries)
        await asyncio.sleep(600)

    for restart in range(2):
        await consuming(server, line, handler, lambda: len(given) > restart, max_tries=2)  # noqa: B023
    await consuming(server, line, handler, lambda: bool(publisher.dead("erp")), max_tries=2)
    assert given == [1, 2]
    assert publisher.dead("erp")[0]["error"] == "given 2 times and never acked"
