"""An answer that goes on keeps to the pace of who listens, whatever stands before the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Message
from uvicorn.protocols.utils import ClientDisconnected

from pipeline.control.live import endless
from pipeline.control.live.endless import EndlessResponse
from pipeline.control.live.flow import EXTENSION, TellWhatLeft

HTTP: dict[str, Any] = {"type": "http", "method": "GET"}


class Client:
    """Takes what it is given while `takes` is set, and may leave."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        if message.get("body"):
            self.got.append(message["body"])


class Parts:
    """Numbered parts of 100 bytes, as many as are asked for."""

    def __init__(self, most: int = 1000) -> None:
        self.made, self.closed, self._most = 0, False, most

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            while self.made < self._most:
                self.made += 1
                yield b"%3d" % self.made + b"." * 97
                await asyncio.sleep(0)
        finally:
            self.closed = True


def response(parts: Parts) -> EndlessResponse:
    return EndlessResponse(parts(), "text/event-stream", 60.0)


async def turns(count: int = 200) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def ended(running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(60):
        await running


async def test_the_next_part_is_made_when_the_one_before_is_taken() -> None:
    client, parts = Client(), Parts()
    running = asyncio.create_task(response(parts)(HTTP, client.receive, client.send))
    await turns()
    client.takes.clear()
    await turns()
    made = parts.made
    await turns()
    assert parts.made == made == len(client.got) + 1
    client.gone.set()
    await ended(running)
    assert parts.closed


async def test_who_takes_nothing_for_long_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "STALLED_S", 0.01)
    client, parts = Client(), Parts()
    client.takes.clear()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await client.send(message)

    await ended(asyncio.create_task(response(parts)(HTTP, client.receive, send)))
    assert parts.closed


async def test_a_server_that_takes_whatever_it_is_given_is_given_no_more_than_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Serve: between the app and the middleware lies a queue without a bound."""
    monkeypatch.setattr(endless, "MOST_UNDER_WAY", 1000)
    client, parts, queue = Client(), Parts(200), asyncio.Queue[Message]()
    client.takes.clear()
    heard: asyncio.Queue[Message] = asyncio.Queue()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def hear() -> None:
            while True:
                await heard.put(await receive())

        hearing = asyncio.create_task(hear())
        answering = asyncio.create_task(response(parts)(scope, heard.get, queue.put))
        while not answering.done() or not queue.empty():
            getting = asyncio.ensure_future(queue.get())
            await asyncio.wait([getting, answering], return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                await send(getting.result())
            else:
                getting.cancel()
        hearing.cancel()

    running = asyncio.create_task(TellWhatLeft(serve)(dict(HTTP), client.receive, client.send))
    await turns(2000)
    assert parts.made == 11  # ten are under way, one waits for room
    client.takes.set()
    await turns(20_000)
    assert parts.made == 200
    client.gone.set()
    await ended(running)
    assert client.got == sorted(client.got)
    assert parts.closed


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param([(b"content-type", b"text/event-stream; charset=utf-8")], True, id="events"),
        pytest.param([(b"content-type", b"multipart/x-mixed-replace; boundary=x")], True, id="pictures"),
        pytest.param([(b"content-type", b"text/csv; charset=utf-8")], True, id="a table that is read as it is sent"),
        pytest.param([(b"content-type", b"application/json"), (b"content-length", b"5")], False, id="a whole answer"),
    ],
)
async def test_of_answers_that_come_in_parts_is_told_what_left(headers: list[tuple[bytes, bytes]], told: bool) -> None:
    client = Client()
    heard: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert EXTENSION in scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"12345"})
        if told:
            heard.append(await receive())
        client.gone.set()
        while not heard or heard[-1]["type"] != "http.disconnect":
            heard.append(await receive())

    async with asyncio.timeout(60):
        await TellWhatLeft(app)(dict(HTTP), client.receive, client.send)
    assert sum(message.get("bytes", 0) for message in heard) == (5 if told else 0)


async def test_a_client_that_leaves_a_websocket_in_mid_message_is_no_failure_of_the_app_behind() -> None:
    """As uvicorn: it raises what is an OSError where the connection is closed already."""
    heard: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.send", "bytes": b"12345"})
        heard.append(await receive())

    async def send(message: Message) -> None:
        raise ClientDisconnected

    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1001}

    async with asyncio.timeout(60):
        await TellWhatLeft(app)({"type": "websocket"}, receive, send)
    assert heard == [{"type": "websocket.disconnect", "code": 1001}]
