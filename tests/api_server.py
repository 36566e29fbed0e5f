"""The HTTP API on a port of this machine: for answers that go on, which a client in the same process cannot show."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn

from pipeline.config import RaylineConfig
from pipeline.control.access.addresses import TrustedProxies
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.limits.bodies import BodyLimit
from pipeline.control.limits.heads import HeadLimit
from pipeline.control.services import Authenticator
from pipeline.control.settings import ApiSettings
from pipeline.deployments.http_guard import FrontDoor
from pipeline.deployments.http_protocol import GuardedHttp, Places
from pipeline.sinks.redis_client import RedisSettings
from tests.api_client import OneBoxDetector, api_app


@dataclass(frozen=True)
class ApiServer:
    """Where it listens."""

    port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@asynccontextmanager
async def api_server(
    redis: RedisSettings,
    config: RaylineConfig,
    *,
    settings: ApiSettings | None = None,
    authenticator: Authenticator | None = None,
    detector: OneBoxDetector | None = None,
    guarded: bool = False,
    history: HistoryDesk | None = None,
) -> AsyncIterator[ApiServer]:
    """Answers in this loop, over the config as `up` would publish it; stopped on leaving, which hangs up on clients.

    `guarded`: with what stands before it in Serve's proxies.
    """
    settings = settings or ApiSettings(open_to_loopback=True)
    made = api_app(redis, config, settings=settings, detector=detector, authenticator=authenticator, history=history)
    async with made as app:
        more: dict[str, Any] = {}
        if guarded:
            app = FrontDoor(HeadLimit(BodyLimit(app, settings.max_body_bytes, settings.body_timeout_s)))
            more["http"] = partial(GuardedHttp, Places(1000, TrustedProxies(())))
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
            options = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, ws="auto", **more)
            server = uvicorn.Server(options)
            serving = asyncio.create_task(server.serve([listening]))
            try:
                while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
                yield ApiServer(listening.getsockname()[1])
            finally:
                server.should_exit = True
                await serving
