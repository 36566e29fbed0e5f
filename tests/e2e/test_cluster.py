"""`rayline up --address`: in a Ray that somebody else started, and of which nothing of ours is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.e2e.command import Rayline
from tests.e2e.conftest import CLIP_FRAMES
from tests.redis_server import redis_server

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(180)]

CORES = 2
_HEAD = f"""
import ray, sys
ray.init(address="local", num_cpus={CORES}, include_dashboard=False, object_store_memory=256 * 1024 * 1024)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()  # until the test lets go of it
ray.shutdown()
"""


@dataclass(frozen=True)
class Cluster:
    """A Ray of one machine, in processes of its own."""

    address: str
    process: psutil.Process

    def actors(self) -> list[str]:
        """Of ours, those that live in it."""
        names = []
        for process in self.process.children(recursive=True):
            with suppress(psutil.Error):
                names.append(" ".join(process.cmdline()))
        return [name for name in names if name.startswith(("ray::Supervisor", "ray::IngestActor", "ray::ServeReplica"))]


@pytest.fixture(autouse=True)
def _token(rayline: Rayline) -> None:
    """Ray asks for one in a local cluster; whoever joins it must say that he has it."""
    rayline.set("RAY_AUTH_MODE", "token")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with head(tmp_path_factory.mktemp("cluster") / "head.log") as (address, pid):
        yield Cluster(address, psutil.Process(pid))


@contextmanager
def head(log: Path) -> Iterator[tuple[str, int]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY")}
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _HEAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
            env={**environ, "RAY_USAGE_STATS_ENABLED": "0"}, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, log.read_text()
            yield address, process.pid
        finally:
            started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            process.stdin.close()
            _, alive = psutil.wait_procs(started, timeout=15)
            for one in alive:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.stdout.close()
            process.wait(5)


def test_a_clip_runs_to_its_end_in_a_cluster_and_leaves_it_empty(
    rayline: Rayline, cluster: Cluster, clip: Path, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as redis:
        done = rayline.run("up", clip, "--address", cluster.address, "--redis", redis.url, timeout_s=120)
        assert done.process.returncode == 0, done.output
        follow = ("consume", "detections", "--from", "start", "--json", "--redis", redis.url)
        messages = rayline.run(*follow, "--count", "1000", "--timeout", "2").stdout.splitlines()
    assert len(messages) == CLIP_FRAMES
    deadline = time.monotonic() + 5
    while (left := cluster.actors()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    # Serve lives on there as it was started, without HTTP: an API that nobody would reach is not begun.
    config = tmp_path / "api.yaml"
    config.write_text(yaml.safe_dump(_small(clip) | {"api": {}}))
    refused = rayline.run("up", config, "--address", cluster.address, timeout_s=60)
    assert refused.process.returncode == 1, refused.output
    assert "Serve runs in this cluster already and runs without HTTP" in refused.stderr


def test_a_graph_too_large_for_the_cluster_is_refused_in_a_sentence(
    rayline: Rayline, cluster: Cluster, clip: Path, tmp_path: Path
) -> None:
    config = tmp_path / "large.yaml"
    config.write_text(yaml.safe_dump(_small(clip) | {"graph": {"detect_cpus": 9}}))
    refused = rayline.run("up", config, "--address", cluster.address, timeout_s=60)
    assert refused.process.returncode == 1, refused.output
    assert f"the graph asks for 9.45 cores, the Ray cluster has {CORES}" in refused.stderr
    assert "Traceback" not in refused.output
    assert cluster.actors() == []


def _small(clip: Path) -> dict[str, Any]:
    return {
        "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
        "recipes": {"objects": {"model": "bottles"}},
        "cameras": {"clip": {"url": str(clip)}},
    }
