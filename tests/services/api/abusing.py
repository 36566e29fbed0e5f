"""The API as strangers meet it, with what stands before it in Serve's proxies; and bytes sent as they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from pipeline.config import RaylineConfig
from pipeline.control.access.api_keys import ApiKey
from pipeline.control.access.authenticator import authenticator_for
from pipeline.control.settings import ApiSettings
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from tests.api_client import OneBoxDetector
from tests.api_server import ApiServer, api_server

SECRET = "0123456789abcdef" * 4
KEY = ApiKey.new()
NO_LIMIT = "1000000/second"
MOST_GROWTH = 150_000_000  # bytes of memory, that no abuse may cost this process
NAMES = {"camera": "a", "line": "l1", "model": "bottles", "topic": "events", "inspection_id": "a/1/1"}


@asynccontextmanager
async def strict_api(
    redis: RedisSettings, config: RaylineConfig, detector: OneBoxDetector | None = None
) -> AsyncIterator[ApiServer]:
    """For the bearer of KEY and of tokens signed with SECRET, as often as they like."""
    settings = ApiSettings.model_validate(
        {
            "auth": {
                "keys": [{"name": "root", "sha256": KEY.sha256, "role": "admin"}],
                "own": {"secret": SECRET},
            },
            "rate_limits": dict.fromkeys(("per_principal", "detect", "per_address", "failed"), NO_LIMIT),
            "stream_max_s": 1,
        }
    )
    pool = RedisPool(redis)
    made = api_server(
        redis,
        config,
        settings=settings,
        authenticator=authenticator_for(settings, pool),
        detector=detector,
        guarded=True,
    )
    async with made as running:
        yield running
    await pool.close()


def memory() -> int:
    found: int = psutil.Process().memory_info().rss
    return found


@dataclass(frozen=True)
class Said:
    """What the server answered first, as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    hung_up: bool  # and took no further request

    def problem(self) -> dict[str, Any]:
        """Raises AssertionError where it is none."""
        assert self.headers.get("content-type") == "application/problem+json", self
        told: dict[str, Any] = json.loads(self.body)
        assert told["status"] == self.status
        return told


async def say(api: ApiServer, data: bytes, patience_s: float = 60.0) -> Said:
    """Send bytes as they are, and a request behind them. A server that says nothing and hangs up gives status 0."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        async with asyncio.timeout(patience_s):
            try:
                writer.write(data)
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError):
                return Said(0, {}, b"", True)
            first, *lines = head.decode("latin1").rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = 0 if data.startswith(b"HEAD ") else int(headers.get("content-length", 0))
            body = await reader.readexactly(length)
            try:
                writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                more = await reader.read()
            except ConnectionError:
                more = b""
        return Said(int(first.split()[1]), headers, body, b"HTTP/1.1 " not in more)
    finally:
        writer.transport.abort()


def raw(method: str, target: str, *lines: str, body: bytes = b"", key: bool = True) -> bytes:
    """A request with these lines as they are."""
    told = [f"{method} {target} HTTP/1.1", "host: 127.0.0.1", *lines, *([f"x-api-key: {KEY.text}"] if key else [])]
    told += [f"content-length: {len(body)}"] if body else []
    return "\r\n".join([*told, "", ""]).encode("latin1") + body


async def lives(api: ApiServer) -> None:
    assert (await say(api, raw("GET", "/healthz", key=False))).status == 200
