"""The HTTP API in this process, over a real Redis, with a detector of the test's own; no Ray, no port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx
import numpy as np
from starlette.types import ASGIApp

from pipeline.config import RaylineConfig
from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.api import make_api
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.services import Authenticator, Services
from pipeline.control.settings import ApiSettings
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from stages.values import Detected, Detections, ModelInfo, Picture

LOOPBACK = ("127.0.0.1", 50_000)


class OneBoxDetector:
    """ImageDetector that sees one box, in the middle half of each picture."""

    def __init__(self, ready: bool = True) -> None:
        self.asked: list[tuple[str, Sequence[Picture]]] = []
        self.ready = ready

    async def detect(self, model: str, pictures: Sequence[Picture]) -> Detected:
        """See ImageDetector."""
        self.asked.append((model, pictures))
        found = tuple(_middle(picture) for picture in pictures)
        return Detected(found, (), ModelInfo(model, "1", "0" * 64, ("part",)))

    async def is_ready(self) -> bool:
        """See ImageDetector."""
        return self.ready


def _middle(picture: Picture) -> Detections:
    w, h = picture.width, picture.height
    box = np.array([[w / 4, h / 4, 3 * w / 4, 3 * h / 4]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.array([0], np.int32))


@asynccontextmanager
async def api_app(
    redis: RedisSettings,
    config: RaylineConfig | None = None,
    *,
    settings: ApiSettings | None = None,
    detector: OneBoxDetector | None = None,
    authenticator: Authenticator | None = None,
    history: HistoryDesk | None = None,
) -> AsyncIterator[ASGIApp]:
    """The API. `config`: published as `up` would; without an authenticator it is open to this machine."""
    pool = RedisPool(redis)
    if config is not None:
        async with pool.use() as connection:
            await DesiredStore(connection).publish(config)
    services = Services(
        settings=settings or ApiSettings(open_to_loopback=authenticator is None),
        redis=pool,
        detector=detector or OneBoxDetector(),
        models=config.models_in_use() if config is not None else {},
        authenticator=authenticator or OpenToLoopback(),
        history=history,
    )
    try:
        yield make_api(services)
    finally:
        await pool.close()
        if history is not None:
            history.close()


@asynccontextmanager
async def api_client(
    redis: RedisSettings,
    config: RaylineConfig | None = None,
    *,
    settings: ApiSettings | None = None,
    detector: OneBoxDetector | None = None,
    authenticator: Authenticator | None = None,
    headers: Mapping[str, str] | None = None,
    client: tuple[str, int] = LOOPBACK,
    history: HistoryDesk | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, made as `api_app` makes it."""
    made = api_app(redis, config, settings=settings, detector=detector, authenticator=authenticator, history=history)
    async with made as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as asks:
            yield asks
