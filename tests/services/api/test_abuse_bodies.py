"""What broken and hostile clients send in bodies and queries: refused in words, in time, and for little memory."""

from __future__ import annotations

import asyncio
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest

from pipeline.config import RaylineConfig
from pipeline.sinks.redis_client import RedisSettings
from stages.values import Detected, Picture
from tests.api_client import OneBoxDetector
from tests.services.api.abusing import KEY, MOST_GROWTH, memory, strict_api

pytestmark = pytest.mark.services


@pytest.fixture
async def asks(redis: RedisSettings, config: RaylineConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        strict_api(redis, config) as api,
        httpx.AsyncClient(base_url=api.http, headers={"X-API-Key": KEY.text}, timeout=60) as client,
    ):
        before = memory()
        yield client
        assert (await client.get("/healthz")).status_code == 200
        assert memory() - before < MOST_GROWTH


TAKE_JSON = [
    ("POST", "/v1/cameras"),
    ("PATCH", "/v1/cameras/a"),
    ("PUT", "/v1/lines/l1/recipe"),
    ("PATCH", "/v1/models/bottles"),
    ("POST", "/v1/detect"),
]
GOOD = {
    "/v1/cameras": '"name": "n", "url": "rtsp://127.0.0.1/n"',
    "/v1/cameras/a": '"fps": 3',
    "/v1/lines/l1/recipe": '"recipe": "small"',
    "/v1/models/bottles": '"iou": 0.5',
    "/v1/detect": '"image_base64": "AA=="',
}


@pytest.mark.parametrize(
    "made",
    [
        pytest.param("[" * 30_000, id="lists in lists"),
        pytest.param('{"fps":' * 9_000, id="objects in objects"),
        pytest.param("[" * 500 + "]" * 500, id="a deep one that is whole"),
        pytest.param("{%s, " + '"fps": ' + "9" * 60_000 + "}", id="a long number"),
        pytest.param('{"fps": 1e999, "min_score": 1e999, "threshold": 1e999, "buffer_frames": 1e999}', id="infinite"),
        pytest.param('{"fps": NaN, "min_score": NaN, "threshold": NaN, "buffer_frames": NaN}', id="no number"),
        pytest.param('{"fps": -0.0, "min_score": 1e-400, "threshold": -1}', id="too small"),
        pytest.param('{%s, "fps": 0, "recipe": "../x", "iou": 7, "image_base64": 3}', id="twice, the second wrong"),
        pytest.param('{"options": {"\\ud800": "1"}}', id="half a sign for a name"),
        pytest.param('{"\\ud800": 1, "\\u0000": 2}', id="half a sign for a setting"),
        pytest.param(
            '{"name": "n\\ud800", "url": "rtsp://\\ud800/", "station": "\\ud800", "recipe": "\\ud800"}', id="half signs"
        ),
        pytest.param('{"name": "n\\u0000", "url": "rtsp://127.0.0.1/\\u0000", "recipe": "\\u0000"}', id="NULs"),
        pytest.param('{"name": "n\\r\\nset-cookie: a=b", "url": "rtsp://127.0.0.1/n"}', id="an end of line in a name"),
        pytest.param('{"__proto__": {}, "__class__": "x", "constructor": 1}', id="names of insides"),
        pytest.param("{%s} {%s}", id="two"),
        pytest.param("{%s", id="no end"),
        pytest.param("null", id="nothing"),
        pytest.param("1", id="a number"),
        pytest.param("", id="empty"),
    ],
)
async def test_json_that_does_not_fit_is_a_problem_and_changes_nothing(asks: httpx.AsyncClient, made: str) -> None:
    before = (await asks.get("/v1/cameras")).json()["version"]
    for method, path in TAKE_JSON:
        body = made.replace("%s", GOOD[path]).encode()
        began = time.process_time()
        answer = await asks.request(method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 30_000
        assert time.process_time() - began < 10
    assert (await asks.get("/v1/cameras")).json()["version"] == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "latin1"])
async def test_json_in_another_encoding_is_read_rightly_or_refused(asks: httpx.AsyncClient, encoding: str) -> None:
    body = '{"image_base64": "é"}'.encode(encoding)
    answer = await asks.post("/v1/detect", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "*/*",
        "application/json-seq",
        "application/x-json",
        "image/jpeg",
        "application/octet-stream",
        "a" * 5000,
    ],
)
async def test_another_type_is_not_taken_for_json(asks: httpx.AsyncClient, kind: str) -> None:
    for method, path in TAKE_JSON:
        answer = await asks.request(method, path, content=f"{{{GOOD[path]}}}", headers={"Content-Type": kind})
        assert answer.status_code in (400, 415, 422), (path, kind)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: b'{"images":[' + b"[]," * 3_000_000 + b"[]]}", id="millions of images that are none"),
        pytest.param(lambda: b"{" + b'"a":0,' * 2_000_000 + b'"a":0}', id="millions of settings"),
        pytest.param(lambda: b'{"classes":[' + b'"a",' * 2_000_000 + b'"a"]}', id="millions of classes"),
    ],
)
async def test_long_json_costs_no_more_than_its_bytes(asks: httpx.AsyncClient, made: Any) -> None:
    body = made()
    for method, path in TAKE_JSON:
        began = time.process_time()
        answer = await asks.request(method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == (422 if path == "/v1/detect" else 413), (path, answer.text)
        assert time.process_time() - began < 5


async def test_many_unknown_settings_are_not_looked_up_one_by_one(asks: httpx.AsyncClient) -> None:
    began = time.process_time()
    for method, path in TAKE_JSON:
        body = {f"k{number}": 1 for number in range(1500)}
        answer = await asks.request(method, path, json=body)
        assert (answer.status_code, len(answer.json()["errors"]) <= 50) == (422, True)
    assert time.process_time() - began < 5


def _parts(count: int, end: bool = True, head: str = "", name: str = "f") -> bytes:
    one = f'--b\r\nContent-Disposition: form-data; name="{name}"{head}\r\n\r\nx\r\n'
    return (one * count + ("--b--\r\n" if end else "")).encode()


@pytest.mark.parametrize(
    ("body", "boundary"),
    [
        pytest.param(_parts(10_000), "b", id="10,000 fields"),
        pytest.param(_parts(10_000, head='; filename="x"'), "b", id="10,000 files"),
        pytest.param(_parts(1, end=False), "b", id="no end"),
        pytest.param(b"--b\r\n", "b", id="nothing in it"),
        pytest.param(b"", "b", id="nothing"),
        pytest.param(_parts(1), "another", id="another boundary"),
        pytest.param(_parts(1), "b" * 5000, id="a long boundary"),
        pytest.param(_parts(1, head="; x=" + "y" * 1_000_000), "b", id="a long header"),
        pytest.param(_parts(1, head="\r\na: b" * 100_000), "b", id="many headers"),
        pytest.param(b"--b\r\n\r\nx\r\n--b--\r\n", "b", id="a part without a name"),
        pytest.param(_parts(3, name="model"), "b", id="one field three times"),
        pytest.param(_parts(1, name="image"), "b", id="an image that is no file"),
        pytest.param(_parts(1, name="image", head='; filename="../../x\\0"'), "b", id="a name that leads elsewhere"),
        pytest.param(b"\r\n" * 100_000, "b", id="lines"),
        pytest.param(b"-" * 1_000_000, "b", id="dashes"),
    ],
)
async def test_a_form_that_is_none_is_a_problem(asks: httpx.AsyncClient, body: bytes, boundary: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    began = time.process_time()
    answer = await asks.post("/v1/detect", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=" + "9" * 5000, 422),
        ("limit=99999999999999999999", 422),
        ("limit=1e999", 422),
        ("limit=-1", 422),
        ("limit=1&limit=0", 422),
        ("limit=%00", 422),
        ("after=" + "x" * 5000, 422),
        ("&".join(["a=1"] * 2000), 200),  # nobody asks what they are
        ("a" * 9000, 414),
        ("limit[]=1&limit[$gt]=", 200),
        ("line=%ff", 422),
        ("state=running%0d%0aset-cookie:a=b", 422),
    ],
)
async def test_a_query_is_read_or_refused(asks: httpx.AsyncClient, query: str, status: int) -> None:
    answer = await asks.get(f"/v1/cameras?{query}")
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False), answer.text


@pytest.mark.parametrize("fps", ["nan", "inf", "-inf", "1e999", "0", "-1", "", "0x5", "5 5"])
async def test_a_rate_of_pictures_is_a_number(asks: httpx.AsyncClient, fps: str) -> None:
    assert (await asks.get("/v1/cameras/a/live", params={"fps": fps})).status_code == 422


@pytest.fixture
async def inside() -> AsyncIterator[tuple[int, list[str]]]:
    """A server on this machine that no request from outside may reach: its port, and who came."""
    came: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(str(writer.get_extra_info("peername")))
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], came


def _ways_inside(port: int) -> Iterator[str]:
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0"):
        yield f"http://{host}:{port}/image.jpg"
    yield from (
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "http://[fd00:ec2::254]/",
    )
    yield from ("file:///etc/passwd", f"gopher://127.0.0.1:{port}/_INFO", f"http://user:pw@127.0.0.1:{port}/")
    yield from (f"http://127.0.0.1:{port}\\@1.1.1.1/", f"http://1.1.1.1#@127.0.0.1:{port}/", "//127.0.0.1/", "http://")


async def test_by_url_nobody_gets_inside(asks: httpx.AsyncClient, inside: tuple[int, list[str]]) -> None:
    port, came = inside
    for url in _ways_inside(port):
        if "1.1.1.1#" in url:  # that one is public, and this test is not to ask it
            continue
        for body in ({"image_url": url}, {"images": [{"image_url": url}] * 2}):
            answer = await asks.post("/v1/detect", json=body)
            if "images" in body:
                assert answer.status_code == 200
                assert all(image["error"] and not image["objects"] for image in answer.json()["images"])
            else:
                assert answer.status_code == 422, url
            assert "refused" not in answer.text
    assert came == []


def _black_png(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + bytes(side * 3)) * side, 9)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Forgets(OneBoxDetector):
    """Holds no picture, as a test's usual one does."""

    async def detect(self, model: str, pictures: Sequence[Picture]) -> Detected:
        """See ImageDetector."""
        try:
            return await super().detect(model, pictures)
        finally:
            self.asked.clear()


async def test_of_images_that_unpack_to_much_few_are_unpacked_at_once(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    image = _black_png(3000)  # 26 kB that are 27 MB unpacked, all at once 320 MB
    most = 0
    async with (
        strict_api(redis, config, Forgets()) as api,
        httpx.AsyncClient(base_url=api.http, headers={"X-API-Key": KEY.text}, timeout=100) as asks,
    ):
        before = memory()
        asked = [asyncio.create_task(asks.post("/v1/detect", files={"image": ("a.png", image)})) for _ in range(12)]
        while not all(task.done() for task in asked):
            most = max(most, memory() - before)
            await asyncio.sleep(0.02)
    assert [task.result().status_code for task in asked] == [200] * 12
    assert most < 220_000_000
