"""One local Ray and one Serve for the whole session."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local_ray import set_environment
from pipeline.running import QUIET

set_environment()  # this Ray's processes run as those of `rayline up` do, and no further behind all others

import ray  # noqa: E402 - it reads what was set
from ray import serve  # noqa: E402


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
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
