"""What the routes work with: made once a process, handed to each request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from pipeline.control.access.roles import Principal
from pipeline.control.detector import ImageDetector
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.settings import ApiSettings
from pipeline.orchestrate.desired_store import DesiredCache, DesiredStore
from pipeline.orchestrate.state import StateStore
from pipeline.sinks.redis_pool import RedisPool
from stages.detect.settings import ModelSettings


class Authenticator(Protocol):
    """Tells who calls."""

    async def principal(self, connection: HTTPConnection) -> Principal:
        """Who it is. Raises ApiError 401 in words that help the rightful and tell others nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the API."""

    settings: ApiSettings
    redis: RedisPool
    detector: ImageDetector
    models: Mapping[str, ModelSettings]  # those that run, by name
    authenticator: Authenticator
    cache: DesiredCache = field(default_factory=DesiredCache)
    history: HistoryDesk | None = None  # None: none is kept

    @asynccontextmanager
    async def desired(self) -> AsyncIterator[DesiredStore]:
        """What is to run, to be read and changed inside. Raises SinkUnavailable."""
        async with self.redis.use() as client:
            yield DesiredStore(client, cache=self.cache)

    @asynccontextmanager
    async def state(self) -> AsyncIterator[StateStore]:
        """What runs, as last reported. Raises SinkUnavailable."""
        async with self.redis.use() as client:
            yield StateStore(client)


def services_of(connection: HTTPConnection) -> Services:
    """Of the app that answers this."""
    found: Services = connection.app.state.services
    return found


def principal_of(connection: HTTPConnection) -> Principal:
    """Whom the gate recognised; it lets nobody in unrecognised where a route asks for this."""
    found: Principal = connection.scope["state"]["principal"]
    return found


Here = Annotated[Services, Depends(services_of)]
Caller = Annotated[Principal, Depends(principal_of)]
