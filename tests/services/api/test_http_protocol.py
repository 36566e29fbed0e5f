"""What a client may leave open towards the server in Serve's proxies, over real sockets; deadlines are short here."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from pipeline.control.access.addresses import TrustedProxies
from pipeline.control.limits.bodies import BodyLimit
from pipeline.control.limits.heads import HeadLimit
from pipeline.deployments import http_protocol
from pipeline.deployments.http_guard import FrontDoor
from pipeline.deployments.http_protocol import Places
from tests.http_server import served
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

HELLO = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"
LAST_HELLO = HELLO[:-2] + b"connection: close\r\n\r\n"


async def _hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {sorted(name for name in request.headers if name.startswith(('x-', 'serve')))}")


async def _read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def _flood(_: Request) -> StreamingResponse:
    async def much() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000_000)
            await asyncio.sleep(0)

    return StreamingResponse(much())


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


APP = Starlette(
    routes=[
        Route("/hello", _hello, methods=["GET", "POST"]),
        Route("/read", _read, methods=["POST"]),
        Route("/flood", _flood),
        Route("/-/routes", _hello),
        WebSocketRoute("/echo", _echo),
    ],
    middleware=[Middleware(FrontDoor), Middleware(HeadLimit), Middleware(BodyLimit, 100_000, 1.0)],
)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 1.0)
    monkeypatch.setattr(http_protocol, "BODY_LEFT_S", 1.0)
    monkeypatch.setattr(http_protocol, "TAKE_TIMEOUT_S", 0.3)
    with served(APP, Places(40, TrustedProxies(())), timeout_keep_alive=1) as port:
        yield port


def talk(port: int, *pieces: bytes, pause_s: float = 0.0, patience_s: float = 30.0) -> bytes:
    """Everything the server says until it hangs up, or says nothing for so long."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
        except OSError:
            pass  # hung up on meanwhile: what it said before that is what matters
        return heard(connection)


def heard(connection: socket.socket) -> bytes:
    said = b""
    try:
        while more := connection.recv(65536):
            said += more
    except TimeoutError:
        return said + b"<open>"
    except ConnectionResetError:
        return said + b"<reset>"
    return said


def test_a_request_is_answered_and_the_connection_kept_for_the_next(port: int) -> None:
    said = talk(port, HELLO, HELLO)
    assert said.count(b"200 OK") == 2
    assert not said.endswith(b"<open>"), "idle for longer than keep-alive"


@pytest.mark.parametrize(
    ("pieces", "pause_s"),
    [
        pytest.param([], 0.0, id="nothing"),
        pytest.param([b"GET /hello HTTP/1.1\r\n"], 0.0, id="half a head"),
        pytest.param([b"GET /hello HTTP/1.1\r\n", *[b"a: b\r\n"] * 100], 0.1, id="a head in drops"),
        pytest.param([HELLO, *[b"\r\n"] * 100], 0.1, id="blank lines behind a request"),
    ],
)
def test_a_head_comes_in_time_or_not_at_all(
    port: int, pieces: list[bytes], pause_s: float, stopwatch: Stopwatch
) -> None:
    stopwatch.restart()
    said = talk(port, *pieces, pause_s=pause_s)
    assert not said.endswith(b"<open>")
    assert stopwatch.seconds < 2.5  # a second and a bit; drop by drop it would be ten


def test_a_head_without_end_is_refused(port: int) -> None:
    assert b" 400 " in talk(port, b"GET /hello HTTP/1.1\r\n", *[b"a: " + b"x" * 8000 + b"\r\n"] * 20)
    assert b" 431 " in talk(port, b"GET /hello HTTP/1.1\r\nhost: x\r\na: " + b"x" * 40_000 + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("pieces", "pause_s", "said"),
    [
        pytest.param([b"content-length: 100\r\n\r\n", b"x"], 0.0, b" 408 ", id="a body that stops"),
        pytest.param([b"content-length: 100\r\n\r\n", *[b"x"] * 100], 0.1, b" 408 ", id="a body in drops"),
        pytest.param([b"content-length: 100000000\r\n\r\n"], 0.0, b" 413 ", id="a long body"),
        pytest.param(
            [b"transfer-encoding: chunked\r\n\r\n", *[b"2000\r\n" + b"x" * 0x2000 + b"\r\n"] * 100],
            0.0,
            b" 413 ",
            id="chunks without end",
        ),
        pytest.param([b"transfer-encoding: gzip\r\n\r\n"], 0.0, b" 400 ", id="an encoding nobody speaks"),
        pytest.param(
            [b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n"], 0.0, b" 400 ", id="two encodings"
        ),
        pytest.param([b"content-length: 1\r\ncontent-length: 2\r\n\r\n"], 0.0, b" 400 ", id="two lengths"),
        pytest.param([b"content-length: 0\r\n\r\n"], 0.0, b" 200 ", id="no body"),
    ],
)
def test_a_body_is_whole_and_short_and_in_time(port: int, pieces: list[bytes], pause_s: float, said: bytes) -> None:
    assert said in talk(port, b"POST /read HTTP/1.1\r\nhost: x\r\n", *pieces, pause_s=pause_s)


@pytest.mark.parametrize("head", [b"content-length: 90000\r\n\r\n", b"content-length: 90000000000\r\n\r\n"])
def test_a_body_that_nobody_reads_holds_no_connection(port: int, head: bytes, stopwatch: Stopwatch) -> None:
    """The first is answered by a route that reads nothing, the second refused: both hear it, and then it is over."""
    stopwatch.restart()
    said = talk(port, b"POST /hello HTTP/1.1\r\nhost: x\r\n" + head, *[b"x" * 1000] * 10, pause_s=0.1)
    assert b" 200 " in said or b" 413 " in said
    assert not said.endswith(b"<open>")
    assert stopwatch.seconds < 2.5


def test_who_takes_nothing_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(3.0)  # ten times what it has
        assert not heard(connection).endswith(b"<open>")


def _open(port: int, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_of_one_address_a_quarter_of_the_places_work_at_once() -> None:
    with served(APP, Places(8, TrustedProxies(()))) as port:
        at_work, body = _open(port, 2), b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
        at_work[0].sendall(body)
        at_work[1].sendall(HELLO)
        assert at_work[1].recv(4096).startswith(b"HTTP/1.1 200 ")  # beside the first
        at_work[1].sendall(body)
        _until(lambda: talk(port, patience_s=2).startswith(b"HTTP/1.1 503 "))
        for connection in at_work:
            connection.close()
        _until(lambda: b" 200 " in talk(port, LAST_HELLO))


@pytest.mark.parametrize(
    ("most", "proxies"),
    [pytest.param(16, (), id="of one address"), pytest.param(4, ("127.0.0.0/8",), id="of all, where a proxy has them")],
)
def test_who_waits_longest_makes_room(most: int, proxies: tuple[str, ...]) -> None:
    with served(APP, Places(most, TrustedProxies(proxies))) as port:
        idle = _open(port, 4)
        assert b" 200 " in talk(port, LAST_HELLO)
        assert heard(idle[0]) in (b"", b"<reset>")
        for connection in idle:
            connection.close()


async def test_a_websocket_works_and_keeps_its_place() -> None:
    places = Places(4, TrustedProxies(()))  # of which one for each address
    with served(APP, places) as port:
        async with connect(f"ws://127.0.0.1:{port}/echo") as opened:
            await opened.send("a")
            assert await opened.recv() == "a"
            assert (await asyncio.to_thread(talk, port, HELLO)).startswith(b"HTTP/1.1 503 ")
        await asyncio.to_thread(_until, lambda: b" 200 " in talk(port, LAST_HELLO))


@pytest.mark.parametrize(
    "messages", [pytest.param(["x" * 20_000], id="a long one"), pytest.param(["x"] * 1000, id="many")]
)
async def test_a_websockets_client_may_not_send_ever_so_much(port: int, messages: list[str]) -> None:
    async def say_all() -> None:
        async with connect(f"ws://127.0.0.1:{port}/echo") as opened:
            for message in messages:
                await opened.send(message)
            for _ in messages:
                await opened.recv()

    with pytest.raises(ConnectionClosed):
        await say_all()


def test_serves_own_doors_are_shut(port: int) -> None:
    assert b" 404 " in talk(port, b"GET /-/routes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b" 404 " in talk(port, b"GET /%2D/routes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    steering = (b"x-request-timeout-seconds: 0", b"x-request-disconnect-disabled: ?1", b"serve_multiplexed_model_id: a")
    ids = (b"x-request-id: \xff", b"x-session-id: 1")
    head = b"\r\n".join([b"GET /hello HTTP/1.1", b"host: x", b"connection: close", *steering, *ids])
    assert b"hello []" in talk(port, head + b"\r\n\r\n")


def test_a_body_that_breaks_off_its_framing_ends_that_connection_alone(port: int) -> None:
    said = talk(port, b"POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
    assert b" 200 " not in said
    assert not said.endswith(b"<open>")
    assert b" 200 " in talk(port, LAST_HELLO)
