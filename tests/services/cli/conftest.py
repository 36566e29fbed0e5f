"""A Redis with a published config, and the commands pointed at it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from pipeline import cli
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import StateStore, SystemReport
from tests.redis_server import redis_server
from tests.unit.config.site import SITE, config_from

Rayline = Callable[..., Result]


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


class Site:
    """What a running Rayline would have put into Redis."""

    def __init__(self, url: str) -> None:
        self.url = url

    def publish(self, text: str = SITE) -> None:
        self._run(lambda client: DesiredStore(client).publish(config_from(text)))

    def report(self, report: SystemReport) -> None:
        self._run(lambda client: StateStore(client).write(report))

    def desired(self) -> Any:
        return self._run(lambda client: DesiredStore(client).read())

    def stored(self, key: str) -> Any:
        return self._run(lambda client: client.hgetall(key))

    def append(self, stream: str, data: bytes, entry_id: str = "*") -> None:
        self._run(lambda client: client.xadd(stream, {"message_id": "m", "data": data}, id=entry_id))

    def trim(self, stream: str, maxlen: int) -> None:
        self._run(lambda client: client.xtrim(stream, maxlen=maxlen, approximate=False))

    def clear(self) -> None:
        self._run(lambda client: client.flushdb())

    def _run(self, work: Callable[[Redis], Any]) -> Any:
        async def working() -> Any:
            async with Redis.from_url(self.url) as client:
                return await work(client)

        return asyncio.run(working())


@pytest.fixture
def site(url: str) -> Iterator[Site]:
    """An empty Redis."""
    here = Site(url)
    here.clear()
    yield here
    here.clear()


@pytest.fixture
def rayline(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rayline:
    """Runs a command as a person would who set RAYLINE_REDIS_URL."""
    monkeypatch.setenv("RAYLINE_REDIS_URL", url)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return lambda *arguments: CliRunner().invoke(cli.app, list(arguments))
