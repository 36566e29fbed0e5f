"""What the drill runs: two films, a topic and a live camera through one Rayline on two Ray nodes of this machine."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench.chaos.clips import numbered_film, parts_film
from bench.chaos.detect import NUMBERS, DrillFused
from bench.chaos.kafka import CAMERA, TOPIC, Sender
from pipeline.app import build_app
from pipeline.config import config_of_data
from pipeline.running import QUIET, Rayline, started
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import RedisServer, free_port, redis_server

FPS = 8
REPLAYABLE = ("film", "parts", "topic")
SOURCES = (*REPLAYABLE, "live")
HEAD_CPUS, WORKER_CPUS = 1, 2  # too small a head for all of it: some is always on the worker
_PLAIN_LOG = {"auto_aof_rewrite_percentage": "0"}  # one file, from which a second can be cut
# As docs/operations.md asks of whoever starts a head: by itself Ray waits for a silent machine for most of a minute.
HEALTH_OF_NODES = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}
GRACE_S = 150.0  # films are longer than the drill by this: its start, and the last death's bound, count too


class RtspProcess:
    """The camera as a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._since = time.time()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it is seen."""
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def start(self) -> None:
        """Returns once it listens."""
        command = [sys.executable, "-m", "bench.chaos.rtsp", f"--port={self.port}", f"--fps={FPS}"]
        self._process = subprocess.Popen(  # noqa: S603 - ours
            [*command, f"--since={self._since}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        self._process.stdout.readline()

    def kill(self) -> None:
        """At once, as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


class Nodes:
    """A Ray of two nodes on this machine: the head, which stays, and a worker that may die and be had anew."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args=self._options(HEAD_CPUS))
        self._worker: Any = None

    @property
    def address(self) -> str:
        """Where a driver joins."""
        return str(self._cluster.address)

    def add_worker(self) -> None:
        """Returns once it is there."""
        self._worker = self._cluster.add_node(**self._options(WORKER_CPUS))

    def worker_pids(self) -> list[int]:
        """The worker's daemon and all it started."""
        raylet = self._worker.all_processes["raylet"][0].process.pid
        return [raylet, *(child.pid for child in psutil.Process(raylet).children(recursive=True))]

    def close(self) -> None:
        """End both."""
        self._cluster.shutdown()

    @staticmethod
    def _options(cpus: int) -> dict[str, Any]:
        return {
            "num_cpus": cpus,
            "object_store_memory": 256 * 1024 * 1024,
            "include_dashboard": False,
        }


@dataclass
class Drilled:
    """Everything that may be killed."""

    folder: Path  # orders to the detector lie in it
    rayline: Rayline
    redis: RedisServer
    broker: KafkaBroker
    camera: RtspProcess
    nodes: Nodes


@contextmanager
def running_drill(folder: Path, seconds: float, logs: bool = False) -> Iterator[Drilled]:
    """All of it started, and stopped on leaving."""
    config = functools.partial(_config, folder, seconds)
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder, keep=True, appendfsync="everysec", **_PLAIN_LOG))
        broker = stack.enter_context(kafka_broker())
        camera = RtspProcess()
        stack.callback(camera.kill)
        camera.start()
        nodes = stack.enter_context(_ray(logs))
        build = functools.partial(build_app, fused_wrapper=DrillFused)
        made = config_of_data(config(redis.url, broker.address, camera.url), "drill")
        rayline = stack.enter_context(started(made, build=build))
        stack.enter_context(Sender(broker.address, FPS))
        yield Drilled(folder, rayline, redis, broker, camera, nodes)


@contextmanager
def _ray(logs: bool) -> Iterator[Nodes]:
    from pipeline.local_ray import set_environment

    set_environment()
    for name, value in HEALTH_OF_NODES.items():
        os.environ.setdefault(name, value)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
    import ray
    from ray import serve

    nodes = Nodes()
    try:
        nodes.add_worker()
        ray.init(nodes.address, namespace="rayline", logging_level="warning", log_to_driver=logs)
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        yield nodes
    finally:
        ray.shutdown()
        nodes.close()


def _config(folder: Path, seconds: float, redis_url: str, broker: str, camera_url: str) -> dict[str, Any]:
    demo = yaml.safe_load((resources.files("configs") / "demo.yaml").read_text())
    film = numbered_film(folder / "film.mp4", seconds + GRACE_S, FPS)
    parts = parts_film(folder / "parts.mp4", seconds + GRACE_S, FPS)
    demo["recipes"]["bottles"]["inspection"]["min_votes"] = 5  # fewer pictures a second than the demo
    return {
        "redis": {"url": redis_url, "maxlen_detections": 1_000_000},
        "models": {
            NUMBERS: {"weights": str(folder), "image_size": [192, 320], "max_batch": 8},
            "bottles": demo["models"]["bottles"],
        },
        "recipes": {"count": {"model": NUMBERS}, **demo["recipes"]},
        "topics": {TOPIC: {"brokers": [broker]}},
        "cameras": {
            CAMERA: {"url": f"kafka:{TOPIC}", "recipe": "count"},
            "film": {"url": str(film), "pace": "realtime", "recipe": "count"},
            "parts": {"url": str(parts), "pace": "realtime", "recipe": "bottles", "belt_speed": 0.2},
            "live": {"url": camera_url, "recipe": "count"},
        },
        "graph": {"ingest_cpus": 0.2, "detect_cpus": 0.4, "track_cpus": 0.4},
        "spool": {"dir": str(folder / "spool")},
        "observe": {"metrics_port": None, "level": "warning"},
    }
