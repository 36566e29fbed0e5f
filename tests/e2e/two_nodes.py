"""A line on two Ray nodes of this machine, of which one dies and another joins; tells as JSON what was seen."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bench.chaos.line import HEALTH_OF_NODES
from pipeline.app import build_app
from pipeline.config import config_of_data
from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from pipeline.local_ray import set_environment
from pipeline.orchestrate.state import StateStore
from pipeline.running import QUIET, started
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.placed_detect import PlacedFused
from tests.wiring.running_line import Line, numbered_config, numbered_file, numbers

FILMS, LIVE = ("film-1", "film-2"), ("live-1", "live-2")
FPS, FILM_S = 8, 150
GRAPH = {"shard_size": 1, "detect_replicas": 2, "detect_cpus": 0.4, "ingest_cpus": 0.1}


class Nodes:
    """A head, and a worker as large."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._options = {"num_cpus": 2, "object_store_memory": 128 * 1024 * 1024, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=self._options)
        self._worker: Any = None

    def add_worker(self) -> None:
        """Returns once it is there."""
        self._worker = self.cluster.add_node(**self._options)

    def kill_worker(self) -> None:
        """At once."""
        self.cluster.remove_node(self._worker, allow_graceful=False)


@contextmanager
def cluster() -> Iterator[Nodes]:
    """Both nodes, and Serve on them."""
    set_environment()
    os.environ.update({name: value for name, value in HEALTH_OF_NODES.items() if name not in os.environ})
    import ray
    from ray import serve

    nodes = Nodes()
    try:
        nodes.add_worker()
        ray.init(nodes.cluster.address, namespace="rayline", logging_level="warning", log_to_driver=False)
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        yield nodes
    finally:
        ray.shutdown()
        nodes.cluster.shutdown()


def shards(redis_url: str) -> dict[str, tuple[str, int | None, int]]:
    """Camera -> node, process id and restarts of its reader, where it runs; as `rayline status` has it."""

    async def read() -> Any:
        redis = Redis.from_url(redis_url)
        try:
            return await StateStore(redis).read()
        finally:
            await redis.aclose()

    report = asyncio.run(read())
    found = () if report is None else report.shards
    return {s.cameras[0]: (s.node, s.pid, s.restarts) for s in found if s.cameras and s.state == "running"}


def evenly(line: Line, nodes: int) -> Callable[[], bool]:
    """All four run, so many nodes have as many each."""

    def is_so() -> bool:
        counts = Counter(node for node, *_ in shards(line.rayline.redis_url).values())
        return len(counts) == nodes and set(counts.values()) == {len(FILMS + LIVE) // nodes}

    return is_so


def near_share(line: Line, skip: dict[str, int]) -> float:
    """Share of frames that a replica on their reader's own node worked on, behind the first `skip` of each camera."""
    placed = shards(line.rayline.redis_url)
    seen = [m["model"]["runtime"] == placed[c][0] for c in placed for m in line.detections(c)[skip.get(c, 0) :]]
    return sum(seen) / len(seen)


def main(folder: Path) -> dict[str, Any]:
    """What was seen."""
    told: dict[str, Any] = {}
    with RtspServer() as server, redis_server(folder) as redis, cluster() as nodes:
        cameras: dict[str, dict[str, Any]] = {}
        for name in LIVE:
            server.add_stream(name, StreamSettings(fps=FPS, width=320, height=192), _picture)
            cameras[name] = {"url": server.url(name), "first_backoff_s": 0.2}
        for name in FILMS:
            clip = numbered_file(folder / f"{name}.mp4", FILM_S * FPS, FPS)
            cameras[name] = {"url": str(clip), "pace": "realtime"}
        config = config_of_data(numbered_config(redis.url, folder, cameras, **GRAPH), "test")
        with started(config, build=functools.partial(build_app, fused_wrapper=PlacedFused)) as it:
            line = Line(it)
            line.wait_for("frames", lambda: all(len(line.detections(name)) > 10 for name in cameras))
            line.wait_for("both nodes in use", evenly(line, 2))
            skip = {name: len(line.detections(name)) + FPS for name in cameras}
            time.sleep(5)
            told["near_share"] = near_share(line, skip)
            at = time.monotonic()
            nodes.kill_worker()
            line.wait_for("all on the head", evenly(line, 1), 60)
            told["on_one_s"] = round(time.monotonic() - at, 1)
            before = shards(redis.url)
            at = time.monotonic()
            nodes.add_worker()
            told["joined_s"] = round(time.monotonic() - at, 1)
            line.wait_for("both nodes in use again", evenly(line, 2), 90)
            told["evened_s"] = round(time.monotonic() - at, 1)
            after = shards(redis.url)
            told["moved"] = sorted(name for name in cameras if before[name][0] != after[name][0])
            told["restarted"] = sorted(name for name in cameras if before[name][2] != after[name][2])
            time.sleep(12)
            told["stayed"] = shards(redis.url) == after
            frames = {name: len(line.detections(name)) for name in cameras}
            line.wait_for("frames of all", lambda: all(len(line.detections(n)) > frames[n] + FPS for n in cameras))
            films = {name: numbers(line.detections(name)) for name in FILMS}
            told["films_whole"] = all(seen == list(range(len(seen))) for seen in films.values())
    return told


def _picture(n: int) -> Any:
    return numbered_picture(n % 60_000, 320, 192)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(Path(sys.argv[1]))))
