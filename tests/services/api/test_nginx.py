"""The shipped nginx configuration before the API: what comes through, and what does not."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from pipeline.control.access.addresses import ClientAddress, was_forwarded
from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.api import make_api
from pipeline.control.services import Services
from pipeline.control.settings import ApiSettings
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from tests.api_client import OneBoxDetector
from tests.http_server import served
from tests.nginx import Nginx, nginx

pytestmark = pytest.mark.services

_seen = threading.Semaphore(0)  # an event has come through


async def _told(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse(
        {
            "client": request.client.host if request.client else None,
            "scheme": request.url.scheme,
            "forwarded": was_forwarded(request.scope),
            "headers": [(name, value) for name, value in request.headers.items() if name != "last-event-id"],
            "body": len(body),
        }
    )


async def _events(_: Request) -> StreamingResponse:
    async def slowly() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"
            if not await asyncio.to_thread(_seen.acquire, timeout=30):
                return

    return StreamingResponse(slowly(), media_type="text/event-stream")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"{websocket.url.scheme} {websocket.client.host if websocket.client else ''}")
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def _app(proxies: tuple[str, ...]) -> ASGIApp:
    routes = [
        Route("/told", _told, methods=["GET", "POST"]),
        Route("/events", _events),
        WebSocketRoute("/echo", _echo),
    ]
    return ClientAddress(Starlette(routes=routes), proxies)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx before an app that tells what reached it and trusts 127.0.0.0/8."""
    with served(_app(("127.0.0.0/8",))) as port, nginx(tmp_path_factory.mktemp("nginx"), port) as running:
        yield running


def _client(before: Nginx) -> httpx.Client:
    return httpx.Client(verify=before.trust, base_url=f"https://localhost:{before.https}", timeout=60)


def _curl(before: Nginx, path: str, *options: str) -> str:
    url = f"https://localhost:{before.https}{path}"
    command = ["curl", "-sS", "--max-time", "60", "--cacert", str(before.ca_file), *options, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_https_is_ended_here_and_said_so(before: Nginx) -> None:
    with _client(before) as asks:
        answer = asks.get("/told")
    assert answer.json()["scheme"] == "https"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["server"] in ("nginx", "uvicorn"), "no version"


def test_plain_http_is_sent_to_https(before: Nginx) -> None:
    answer = httpx.get(f"http://127.0.0.1:{before.http}/v1/cameras?line=a")
    assert (answer.status_code, answer.headers["location"]) == (301, "https://127.0.0.1/v1/cameras?line=a")


def test_http_2_is_spoken(before: Nginx) -> None:
    said = _curl(before, "/told", "--http2", "-w", "\n%{http_version}")
    body, version = said.rsplit("\n", 1)
    assert version == "2"
    assert json.loads(body)["scheme"] == "https"


def test_old_tls_is_not(before: Nginx) -> None:
    old = ssl.create_default_context(cafile=before.ca_file)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", before.https), timeout=60) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
}


def test_what_a_caller_claims_goes_no_further(before: Nginx) -> None:
    with _client(before) as asks:
        told = asks.get("/told", headers=FORGED).json()
    assert (told["client"], told["scheme"], told["forwarded"]) == ("127.0.0.1", "https", True)
    assert "6.6.6.6" not in str(told)
    assert "evil" not in str(told)


def test_events_come_as_they_are_sent(before: Nginx) -> None:
    came = []
    with _client(before) as asks, asks.stream("GET", "/events") as answer:
        for line in answer.iter_lines():
            if line:
                came.append(line)
                _seen.release()  # the next is sent when this one is here
    assert came == ["data: 0", "data: 1", "data: 2"]


async def test_a_websocket_comes_through(before: Nginx) -> None:
    async with connect(f"wss://localhost:{before.https}/echo", ssl=before.trust, additional_headers=FORGED) as opened:
        assert await opened.recv() == "wss 127.0.0.1"
        await opened.send("a")
        assert await opened.recv() == "a"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Last-Event-ID": "x" * 8192}, 200, id="as long as the API takes"),
        pytest.param({"A": "x" * 12_000}, 400, id="one long header"),
        pytest.param({f"A{number}": "x" * 9000 for number in range(9)}, 400, id="many of them"),
    ],
)
def test_headers_have_a_length(before: Nginx, headers: dict[str, str], status: int) -> None:
    with _client(before) as asks:
        assert asks.get("/told", headers=headers).status_code == status


def test_an_address_has_a_length(before: Nginx) -> None:
    with _client(before) as asks:
        assert asks.get("/told?" + "x" * 12_000).status_code == 414


def test_a_body_has_the_length_the_api_takes(before: Nginx) -> None:
    most = ApiSettings().max_body_bytes
    with _client(before) as asks:
        whole = asks.post("/told", content=bytes(most))
        longer = asks.post("/told", content=bytes(most + 1))
    assert (whole.status_code, whole.json()["body"]) == (200, most)
    assert longer.status_code == 413


def test_serves_own_paths_are_not_handed_on(before: Nginx) -> None:
    with _client(before) as asks:
        assert asks.get("/-/routes").status_code == 404
        assert asks.get("/%2D/routes").status_code == 404


def test_the_log_holds_no_query(before: Nginx) -> None:
    with _client(before) as asks:
        asks.get("/told?token=hunter2")
    written = before.log.read_text()
    assert "GET /told 200" in written
    assert "hunter2" not in written


def test_the_api_behind_it_is_not_open_to_whom_it_brings(
    redis: RedisSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Open to this machine, it is asked by nginx on this machine: neither trusted nor untrusted does that open it."""
    for proxies, here in (((), 200), (("127.0.0.1",), 401)):  # who is named a proxy is nobody of this machine
        services = Services(
            settings=ApiSettings(open_to_loopback=True, trusted_proxies=proxies),
            redis=RedisPool(redis),
            detector=OneBoxDetector(),
            models={},
            authenticator=OpenToLoopback(),
        )
        folder = tmp_path_factory.mktemp("api")
        with served(make_api(services)) as port, nginx(folder, port) as before, _client(before) as asks:
            forged = {"X-Forwarded-For": "127.0.0.1"}
            assert asks.get("/healthz", headers=forged).status_code == 200
            assert asks.get("/openapi.json", headers=forged).status_code == 401
            assert httpx.get(f"http://127.0.0.1:{port}/openapi.json").status_code == here
