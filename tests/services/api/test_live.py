"""Live pictures over HTTP: one, many, through a WebSocket; and what is told where there are none."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import orjson
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from pipeline.config import RaylineConfig, config_data, config_of_data
from pipeline.control.live import feed, pictures
from pipeline.control.live import socket as live_socket
from pipeline.control.settings import ApiSettings
from pipeline.sinks.keys import watch_key
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_client import connect as redis_connect
from tests.api_client import api_client
from tests.api_server import api_server
from tests.services.api.mjpeg import is_jpeg, parts
from tests.services.api.shown import report, shown
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

LIVE = "/v1/cameras/a/live"


async def readers(client: Redis) -> int:
    """Connections that wait for the next picture, or did so last."""
    return sum(each["cmd"] in ("xread", "get") for each in await client.client_list())


async def test_a_snapshot_of_a_camera_nobody_watched_is_its_newest_picture(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    async with api_client(redis, config) as asks, shown(redis, "l1", "a") as previews:
        await asyncio.sleep(0.3)
        assert previews.made == 0
        await report(redis, "a", "l1", "running")
        first = await asks.get("/v1/cameras/a/snapshot")
        second = first
        while second.headers["x-rayline-seq"] == first.headers["x-rayline-seq"]:  # made five times a second
            second = await asks.get("/v1/cameras/a/snapshot")
    assert (first.status_code, first.headers["content-type"]) == (200, "image/jpeg")
    assert is_jpeg(first.content)
    assert first.headers["x-rayline-captured-at"].startswith("2027-01-15T08:")
    assert int(second.headers["x-rayline-seq"]) > int(first.headers["x-rayline-seq"])


@pytest.mark.parametrize(
    ("state", "again"), [("paused", "10"), ("failed", "10"), ("ended", "10")], ids=["paused", "failed", "ended"]
)
async def test_a_camera_that_shows_nothing_is_told_at_once_with_its_state(
    redis: RedisSettings,
    config: RaylineConfig,
    state: str,
    again: str,
    monkeypatch: pytest.MonkeyPatch,
    stopwatch: Stopwatch,
) -> None:
    monkeypatch.setattr(pictures, "FIRST_WITHIN_S", 60.0)
    await report(redis, "a", "l1", state, "rtsp://user:hunter2@cam/x: no such stream")
    async with api_client(redis, config) as asks:
        stopwatch.restart()
        answer = await asks.get("/v1/cameras/a/snapshot")
    assert stopwatch.seconds < 2
    assert (answer.status_code, answer.headers["retry-after"]) == (503, again)
    assert state in answer.json()["detail"]
    assert "no such stream" in answer.json()["detail"]
    assert "hunter2" not in answer.text


async def test_what_others_saw_before_the_camera_stopped_is_no_snapshot_of_now(
    redis: RedisSettings, config: RaylineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PREVIEW_TTL_S", 0.5)
    async with (
        api_server(redis, config) as server,
        httpx.AsyncClient(base_url=server.http, timeout=60) as asks,
        connect(f"{server.ws}{LIVE}") as socket,
    ):
        async with shown(redis, "l1", "a"):
            while not isinstance(await socket.recv(), bytes):
                pass
        await report(redis, "a", "l1", "paused")
        while (answer := await asks.get("/v1/cameras/a/snapshot")).status_code == 200:
            pass  # the state is looked at once a second
    assert (answer.status_code, "paused" in answer.json()["detail"]) == (503, True)


async def test_a_camera_that_gives_no_picture_in_time_is_told_too(
    redis: RedisSettings, config: RaylineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FIRST_WITHIN_S", 0.4)
    async with api_client(redis, config) as asks:
        unreported = await asks.get("/v1/cameras/a/snapshot")
        await report(redis, "a", "l1", "reconnecting", "no answer")
        reported = await asks.get(LIVE)
        unknown = await asks.get("/v1/cameras/nobody/snapshot")
    assert (unreported.status_code, unknown.status_code) == (503, 404)
    assert "`rayline up`" in unreported.json()["detail"]
    assert (reported.status_code, reported.headers["retry-after"]) == (503, "2")
    assert "reconnecting: no answer" in reported.json()["detail"]


async def test_where_the_configuration_wants_no_pictures_that_is_said(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    without = config_of_data(config_data(config) | {"previews": None})
    async with api_client(redis, without) as asks:
        answer = await asks.get("/v1/cameras/a/snapshot")
    assert (answer.status_code, "previews: null" in answer.json()["detail"]) == (409, True)


async def test_mjpeg_shows_picture_after_picture_at_most_so_many_a_second(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    seen: list[int] = []
    began = time.monotonic()
    async with (
        api_server(redis, config) as server,
        shown(redis, "l1", "a"),
        httpx.AsyncClient(timeout=60) as asks,
        asks.stream("GET", f"{server.http}{LIVE}", params={"fps": 5}) as answer,
    ):
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=rayline-picture"
        async for headers, jpeg in parts(answer):
            seen.append(int(headers["X-Rayline-Seq"]))
            assert is_jpeg(jpeg)
            if len(seen) == 11:
                break
    assert seen == sorted(set(seen))
    assert time.monotonic() - began > 1.6, "all that are made would take 0.7 s, and a tenth to come"


async def test_a_camera_that_stops_keeps_its_watchers_and_they_see_it_again(
    redis: RedisSettings, config: RaylineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "REPEATED_EVERY_S", 0.3)
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        server = await stack.enter_async_context(api_server(redis, config))
        asks = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        async with shown(redis, "l1", "a"):
            answer = await stack.enter_async_context(asks.stream("GET", f"{server.http}{LIVE}"))
            stream = parts(answer)
            last, jpeg = await anext(stream)
        while (again := await anext(stream))[0]["X-Rayline-Seq"] != last["X-Rayline-Seq"]:
            last, jpeg = again
        assert (again[0]["X-Rayline-Captured-At"], again[1]) == (last["X-Rayline-Captured-At"], jpeg)
        async with shown(redis, "l1", "a"):
            while (fresh := await anext(stream))[0]["X-Rayline-Seq"] == last["X-Rayline-Seq"]:
                pass
        assert fresh[1] != jpeg


async def test_many_watch_one_camera_through_one_reader_and_the_last_closes_it(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    settings = ApiSettings(open_to_loopback=True, max_watchers=3)
    client = redis_connect(redis)
    async with api_server(redis, config, settings=settings) as server, shown(redis, "l1", "a"):
        sockets: list[ClientConnection] = [await connect(f"{server.ws}{LIVE}") for _ in range(3)]
        for socket in sockets:
            while orjson.loads(await socket.recv())["type"] != "picture":
                pass
            assert is_jpeg(await socket.recv())
        assert await readers(client) == 1
        async with httpx.AsyncClient(timeout=60) as asks:
            refused = await asks.get(f"{server.http}/v1/cameras/a/snapshot")
        fourth = await connect(f"{server.ws}{LIVE}")
        told = orjson.loads(await fourth.recv())
        assert (refused.status_code, told["type"]) == (503, "end")
        assert "3 watchers" in told["reason"]
        await fourth.wait_closed()
        assert fourth.close_code == 1013
        for socket in sockets:
            await socket.close()
        async with asyncio.timeout(60):
            while await readers(client):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.05)
        assert await client.pttl(watch_key("l1", "a")) <= 5000  # and nobody makes it longer
    await client.aclose()


async def test_a_socket_tells_the_state_where_there_is_no_picture_and_echoes_the_token_protocol(
    redis: RedisSettings, config: RaylineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_socket, "BEAT_EVERY_S", 1.5)
    await report(redis, "a", "l1", "paused")
    async with api_server(redis, config) as server:
        protocols = ["rayline.bearer", "abc"]
        async with connect(f"{server.ws}{LIVE}", subprotocols=protocols) as socket:  # type: ignore[arg-type]
            assert socket.subprotocol == "rayline.bearer"
            async with asyncio.timeout(60):
                while (told := orjson.loads(await socket.recv()))["state"] != "paused":
                    pass
                assert orjson.loads(await socket.recv()) == told  # and again, lest a proxy takes it for dead
        async with connect(f"{server.ws}{LIVE}?fps=nan") as socket:
            assert "fps" in orjson.loads(await socket.recv())["reason"]
    assert told == {"type": "state", "state": "paused", "error": None}


async def test_a_stream_ends_when_its_time_is_up(redis: RedisSettings, config: RaylineConfig) -> None:
    settings = ApiSettings(open_to_loopback=True, stream_max_s=3)
    async with api_server(redis, config, settings=settings) as server, shown(redis, "l1", "a"):
        async with httpx.AsyncClient(timeout=60) as asks, asks.stream("GET", f"{server.http}{LIVE}") as answer:
            got = [headers async for headers, _ in parts(answer)]
        async with connect(f"{server.ws}{LIVE}") as socket:
            messages = [message async for message in socket]
    assert len(got) > 1
    assert orjson.loads(messages[-1])["type"] == "end"
    assert socket.close_code == 1000
