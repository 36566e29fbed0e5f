"""One local Ray and one Serve for the whole session."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray import serve

from pipeline.running import QUIET


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",  # never one that happens to run on this machine
        namespace="rayline",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=512 * 1024 * 1024,
        logging_level=logging.WARNING,
        log_to_driver=False,
    )
    serve.start(proxy_location="Disabled", logging_config=QUIET)
    yield
    ray.shutdown()


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """Where fake detectors agree on who is slow."""
    return tmp_path
