"""One Redis for the session, empty for each test, a configuration of two lines, and a browser."""

from __future__ import annotations

import pytest

from pipeline.config import RaylineConfig, config_of_data
from tests.browser import browser, browser_page, heard
from tests.services.emptied_redis import redis, server

__all__ = ["browser", "browser_page", "heard", "redis", "server"]


@pytest.fixture(scope="session")
def config() -> RaylineConfig:
    """Line `l1` has cameras a and b, line `l2` camera c."""
    return config_of_data(
        {
            "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
            "recipes": {"small": {"model": "bottles"}},
            "lines": {"l1": {"recipe": "small"}, "l2": {"recipe": "small"}},
            "cameras": {
                "a": {"url": "rtsp://127.0.0.1:8554/a", "line": "l1", "counts": True},
                "b": {"url": "rtsp://127.0.0.1:8554/b", "line": "l1"},
                "c": {"url": "rtsp://user:hunter2@127.0.0.1:8554/c", "line": "l2"},
            },
        }
    )
