"""`POST /v1/detect` as callers see it: what it takes, what it refuses, and what it lets go of."""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from pipeline.config import RaylineConfig
from pipeline.control.detect.answers import DetectAnswer
from pipeline.control.detect.gatherer import Gatherer
from pipeline.control.detector import DetectorBusy, DetectorUnavailable
from pipeline.control.settings import ApiSettings
from pipeline.sinks.redis_client import RedisSettings
from stages.values import Detected, Picture
from tests.api_client import OneBoxDetector, api_client
from tests.api_server import api_server
from tests.messages import blocks, encoded

pytestmark = pytest.mark.services

JPEG = encoded(blocks(64, 48))
PNG = encoded(blocks(80, 40), "PNG")


class HeldDetector(OneBoxDetector):
    """Answers when it is let; `raises` in place of an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.begun = asyncio.Event()
        self.raises: Exception | None = None
        self.let_go = 0

    async def detect(self, model: str, pictures: Sequence[Picture]) -> Detected:
        self.begun.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.let_go += 1
            raise
        if self.raises is not None:
            raise self.raises
        return await super().detect(model, pictures)


@asynccontextmanager
async def asking(
    redis: RedisSettings, config: RaylineConfig, detector: OneBoxDetector | None = None, **limits: object
) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings.model_validate({"open_to_loopback": True, "detect": limits})
    async with api_client(redis, config, settings=settings, detector=detector) as asks:
        yield asks


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def files(*images: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", (f"{number}.jpg", data)) for number, data in enumerate(images)]


def images(answer: httpx.Response) -> list[dict[str, Any]]:
    """The images of a good answer, which keeps what the schema promises."""
    assert answer.status_code == 200, answer.text
    DetectAnswer.model_validate_json(answer.content)
    found: list[dict[str, Any]] = answer.json()["images"]
    return found


def png(width: int, height: int, packed: bytes) -> bytes:
    """A PNG whose pixels are these packed bytes, whatever its size says."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


async def test_an_image_is_answered_as_messages_tell_it(redis: RedisSettings, config: RaylineConfig) -> None:
    async with asking(redis, config) as asks:
        (one,) = images(await asks.post("/v1/detect", files=files(JPEG)))
        assert images(await asks.post("/v1/detect", json={"image_base64": text(JPEG)}))[0]["objects"] == one["objects"]
    assert one["size"] == {"width": 64, "height": 48}
    assert one["objects"] == [{"id": None, "label": "part", "class_id": 0, "score": 0.9, "box": [16, 12, 48, 36]}]
    assert one["model"] == {"name": "bottles", "version": "1", "sha256": "0" * 64, "variant": "live", "runtime": ""}
    assert {"decode", "wait", "total"} <= one["latency_ms"].keys()
    assert (one["error"], one["annotated_base64"]) == (None, None)


async def test_in_a_batch_a_broken_image_is_a_value_and_the_others_are_answered(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    async with asking(redis, config) as asks:
        by_form = images(await asks.post("/v1/detect", files=files(JPEG, b"nonsense", PNG)))
        sources = [{"image_base64": text(PNG)}, {"image_base64": "no base64!"}, {"image_url": "http://127.0.0.1/x"}]
        by_json = images(await asks.post("/v1/detect", json={"images": sources}))
    assert [one["size"] and one["size"]["width"] for one in by_form] == [64, None, 80]
    assert [len(one["objects"]) for one in by_form] == [1, 0, 1]
    assert "no JPEG, PNG or WebP" in by_form[1]["error"]
    assert [one["error"] is None for one in by_json] == [True, False, False]


async def test_an_annotated_picture_is_answered_in_base64_or_as_itself(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    async with asking(redis, config) as asks:
        (one,) = images(await asks.post("/v1/detect", files=files(JPEG), data={"annotate": "true"}))
        itself = await asks.post("/v1/detect", files=files(JPEG), headers={"Accept": "image/jpeg"})
        two = await asks.post("/v1/detect", files=files(JPEG, PNG), headers={"Accept": "image/jpeg"})
    assert (itself.status_code, itself.headers["content-type"]) == (200, "image/jpeg")
    for data in (itself.content, base64.b64decode(one["annotated_base64"])):
        drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert drawn is not None
        assert drawn.shape == (48, 64, 3)
    assert two.status_code == 422


async def test_threshold_and_classes_choose_what_is_told(redis: RedisSettings, config: RaylineConfig) -> None:
    async with asking(redis, config) as asks:
        assert images(await asks.post("/v1/detect", files=files(JPEG), data={"threshold": "0.95"}))[0]["objects"] == []
        assert images(await asks.post("/v1/detect", files=files(JPEG), data={"classes": ["part"]}))[0]["objects"]
        for wishes in ({"classes": ["prat"]}, {"threshold": 0.1}, {"model": "bottle"}):
            answer = await asks.post("/v1/detect", json={"image_base64": text(JPEG), **wishes})
            assert answer.status_code == (404 if "model" in wishes else 422)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param({"json": {}}, 422, id="no image"),
        pytest.param({"json": {"image_base64": "AA==", "images": None}}, 422, id="a null beside it"),
        pytest.param({"json": {"image_base64": "AA==", "image_url": "http://a/"}}, 422, id="two sources"),
        pytest.param({"json": {"images": []}}, 422, id="none of several"),
        pytest.param({"json": {"images": [{}]}}, 422, id="an image from nowhere"),
        pytest.param({"json": {"image_base64": text(JPEG), "annotat": True}}, 422, id="a typo"),
        pytest.param({"json": {"image_base64": text(JPEG), "threshold": "0.5"}}, 422, id="a number as text"),
        pytest.param({"json": {"image_base64": text(JPEG), "threshold": 1.5}}, 422, id="a score above 1"),
        pytest.param({"json": {"images": [{"image_base64": "AA=="}] * 5}}, 422, id="too many images"),
        pytest.param({"files": files(*[JPEG] * 5)}, 422, id="too many files"),
        pytest.param({"files": files(*[JPEG] * 6)}, 400, id="more files than are read"),
        pytest.param({"data": {"image": "a text"}, "files": {"x": b""}}, 422, id="an image that is no file"),
        pytest.param({"files": {"picture": ("a.jpg", JPEG)}}, 422, id="a file of another name"),
        pytest.param({"files": files(JPEG), "data": {"model": ["bottles", "caps"]}}, 422, id="two models"),
        pytest.param({"files": files(JPEG), "data": {"threshold": "nan"}}, 422, id="no number"),
        pytest.param({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, id="no JSON"),
        pytest.param({"content": b"[" * 10_000, "headers": {"Content-Type": "application/json"}}, 422, id="deep JSON"),
        pytest.param({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, id="no boundary"),
        pytest.param({"content": JPEG, "headers": {"Content-Type": "image/jpeg"}}, 415, id="another type"),
        pytest.param({"content": JPEG}, 415, id="no type"),
    ],
)
async def test_what_does_not_fit_is_a_problem(
    redis: RedisSettings, config: RaylineConfig, sent: dict[str, Any], status: int
) -> None:
    async with asking(redis, config, max_images=4) as asks:
        answer = await asks.post("/v1/detect", **sent)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(png(30_000, 30_000, zlib.compress(b"")), 413, id="a few bytes that say 900 megapixels"),
        pytest.param(png(100, 100, zlib.compress(bytes(3_000_000))), 422, id="pixels that unpack to 300 times as many"),
        pytest.param(png(100, 100, zlib.compress(bytes(50))), 422, id="rows that are missing"),
        pytest.param(JPEG[: len(JPEG) // 2], 422, id="a JPEG cut off"),
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"GIF89a" + bytes(50), 422, id="GIF"),
        pytest.param(b"II*\0" + bytes(50), 422, id="TIFF"),
        pytest.param(
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", 422, id="SVG"
        ),
        pytest.param(encoded(blocks(64, 48), "WEBP"), 200, id="WebP"),
        pytest.param(encoded(blocks(200, 100)) + bytes(200_000), 413, id="too many bytes"),
    ],
)
async def test_hostile_images_cost_little(
    redis: RedisSettings, config: RaylineConfig, data: bytes, status: int
) -> None:
    async with asking(redis, config, max_image_bytes=450_000 if status != 413 else 200_000) as asks:
        for sent in ({"files": files(data)}, {"json": {"image_base64": text(data)}}):
            if data or "files" in sent:
                assert (await asks.post("/v1/detect", **sent)).status_code == status  # type: ignore[arg-type]


@pytest.mark.parametrize(("may", "most"), [(2, 2), (100, 8)], ids=["as many as may", "the model takes fewer"])
async def test_waiting_requests_go_to_the_model_together(
    redis: RedisSettings, config: RaylineConfig, may: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ask = 0, Gatherer.ask

    async def counted(self: Gatherer[Any, Any], item: Any) -> Any:
        nonlocal asked
        asked += 1
        return await ask(self, item)

    monkeypatch.setattr(Gatherer, "ask", counted)
    detector = HeldDetector()
    async with asking(redis, config, detector, max_batch=may, rest=0) as asks, asyncio.TaskGroup() as group:
        first = group.create_task(asks.post("/v1/detect", files=files(JPEG)))
        await detector.begun.wait()
        rest = [group.create_task(asks.post("/v1/detect", files=files(JPEG))) for _ in range(10)]
        await eventually(lambda: asked > most)  # so many are decoded, and wait
        detector.let.set()
    assert [answer.result().status_code for answer in (first, *rest)] == [200] * 11
    sizes = [len(pictures) for _, pictures in detector.asked]
    assert sum(sizes) == 11
    assert max(sizes) == most


async def test_who_finds_no_room_is_told_when_to_come_again(redis: RedisSettings, config: RaylineConfig) -> None:
    detector = HeldDetector()
    async with asking(redis, config, detector, max_waiting=3, max_images=3) as asks, asyncio.TaskGroup() as group:
        first = group.create_task(asks.post("/v1/detect", files=files(JPEG, JPEG)))
        await detector.begun.wait()
        too_many = await asks.post("/v1/detect", files=files(JPEG, JPEG))
        last = group.create_task(asks.post("/v1/detect", files=files(JPEG)))
        await until_room(asks, False)
        full = await asks.post("/v1/detect", files=files(JPEG))
        detector.let.set()
    assert [one.status_code for one in (too_many, full, first.result(), last.result())] == [503, 503, 200, 200]
    assert 1 <= int(full.headers["retry-after"]) <= 30


@pytest.mark.parametrize(
    "raises", [DetectorBusy("too much waits"), DetectorUnavailable("it does not answer")], ids=["busy", "away"]
)
async def test_a_model_that_cannot_answer_is_a_503(
    redis: RedisSettings, config: RaylineConfig, raises: Exception
) -> None:
    detector = HeldDetector()
    detector.raises = raises
    detector.let.set()
    async with asking(redis, config, detector) as asks:
        answer = await asks.post("/v1/detect", files=files(JPEG, PNG))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_a_model_that_never_answers_is_a_503_and_is_let_go_of(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    detector = HeldDetector()
    async with asking(redis, config, detector, timeout_s=2) as asks:
        answer = await asks.post("/v1/detect", files=files(JPEG))
        assert answer.status_code == 503
        detector.let.set()
        images(await asks.post("/v1/detect", files=files(JPEG)))  # its place was given back
    assert detector.let_go == 1


async def until_room(asks: httpx.AsyncClient, is_free: bool) -> None:
    """Until a request finds room or none; what it asks is refused where there is some."""
    async with asyncio.timeout(60):
        while ((await asks.post("/v1/detect", json={})).status_code != 503) is not is_free:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.02)


async def test_who_left_is_let_go_of_and_what_had_not_begun_is_not_worked_on(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    detector = HeldDetector()
    limits = {"max_images": 1, "max_batch": 1, "max_waiting": 2}
    settings = ApiSettings.model_validate({"open_to_loopback": True, "detect": limits})
    async with (
        api_server(redis, config, settings=settings, detector=detector) as server,
        httpx.AsyncClient(base_url=server.http, timeout=60) as asks,
    ):
        begun = await sent(server.port, JPEG)
        await detector.begun.wait()  # sent at once with the other, either might be decoded first
        waiting = await sent(server.port, PNG)
        await until_room(asks, False)
        waiting.close()
        await until_room(asks, True)
        begun.close()
        await eventually(lambda: detector.let_go == 1)
        detector.let.set()
        images(await asks.post("/v1/detect", files=files(JPEG)))
    assert len(detector.asked) == 1  # that of the one who stayed


async def test_who_leaves_while_sending_gives_the_place_back(redis: RedisSettings, config: RaylineConfig) -> None:
    settings = ApiSettings.model_validate({"open_to_loopback": True, "detect": {"max_images": 1, "max_waiting": 1}})
    async with api_server(redis, config, settings=settings) as server:
        writer = await sent(server.port, JPEG, cut=100)
        async with httpx.AsyncClient(base_url=server.http, timeout=60) as asks:
            await until_room(asks, False)
            assert (await asks.post("/v1/detect", files=files(JPEG))).status_code == 503
            writer.close()
            await until_room(asks, True)
            images(await asks.post("/v1/detect", files=files(JPEG)))


async def sent(port: int, image: bytes, cut: int = 0) -> asyncio.StreamWriter:
    """The way to a server that was sent a request, but for the last `cut` bytes."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    request = httpx.Request("POST", f"http://127.0.0.1:{port}/v1/detect", files=files(image))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    writer.write(f"POST /v1/detect HTTP/1.1\r\n{head}\r\n".encode() + request.read()[: -cut or None])
    await writer.drain()
    return writer


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the fakes under test tell no event
            await asyncio.sleep(0.01)
