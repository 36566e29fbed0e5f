"""The page as it runs: a process of its own on a port of this machine, over a Redis and a history of the test's."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.children import Child
from pipeline.config import RaylineConfig, config_data
from pipeline.dashboard.process import MODULE
from pipeline.dashboard.settings import DashboardSettings
from tests.redis_server import free_port

_READY_S = 60.0


@dataclass(frozen=True)
class DashboardServer:
    """Where it listens, and what it is."""

    settings: DashboardSettings
    child: Child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def pid(self) -> int:
        assert self.child.pid is not None
        return self.child.pid

    def wait_until_ready(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise AssertionError(f"the page did not answer within {_READY_S:.0f} s")


@contextmanager
def dashboard_server(
    config: RaylineConfig, redis_url: str, settings: DashboardSettings | None = None
) -> Iterator[DashboardServer]:
    """Answers by `config`, its Redis at `redis_url`; the settings' port counts only where it is not the default one.

    Without settings everybody on this machine is let in.
    """
    settings = settings or DashboardSettings(open_to_loopback=True)
    if "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": free_port()})
    config = config.model_copy(update={"dashboard": settings}).with_redis(redis_url)
    told = json.dumps(config_data(config)).encode()
    with Child("dashboard", MODULE, told) as child:
        server = DashboardServer(settings, child)
        server.wait_until_ready()
        yield server
