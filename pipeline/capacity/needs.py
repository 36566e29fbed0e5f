"""Nodes, processes, memory and bandwidth, from what the work takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.capacity import costs
from pipeline.capacity.cost import Cost
from pipeline.capacity.costs import BITS_PER_PIXEL
from pipeline.capacity.demand import Cameras, Demand, DemandError
from pipeline.capacity.shares import BATCHES, BOXES, MODEL, OBJECTS, PREPARE, TRACK, Share, shards

_CPU_REPLICA_CORES = 8  # a model on CPUs: one replica for four to eight cores
_DETECT_BATCH_SHARE = 0.27  # of what a batch costs, see costs.BATCH_MS
_TRACK_BATCH_SHARE = 0.22
_IN_FLIGHT = 2  # graph.max_in_flight
_HARD_FACTOR = 4  # redis.maxlen_hard_factor
_SLACK = 1e-9  # 3.0000000001 machines are three


@dataclass(frozen=True, slots=True)
class Graph:
    """What to set under `graph` in the config file."""

    topology: str
    shards: int
    detect_replicas: int
    preprocess_replicas: int
    track_replicas: int
    threads: int  # of a model on CPUs, each replica; 0: it runs on GPUs
    gpus_per_replica: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one node, at least; a model's and a GPU's own come on top where they are large."""

    processes_gb: float
    object_store_gb: float  # in /dev/shm


@dataclass(frozen=True, slots=True)
class Network:
    """Megabits a second."""

    cameras: float  # into the site
    pixels: float  # between the nodes at worst: detect and track of a camera both away from its reader
    busiest_node: float  # into one node at worst


@dataclass(frozen=True, slots=True)
class RedisNeed:
    """What the one Redis takes."""

    memory_mb: float  # of detections
    memory_behind_mb: float  # with a relay away for so long that every stream is at its hard limit
    entries_per_s: float
    mbit_per_s: float
    cores: float  # a Redis uses one


def gpus(demand: Demand, gpu_ms: Cost | None) -> int:
    """Cards; 0 where the model runs on cores."""
    if gpu_ms is None:
        return 0
    return _whole(demand.cameras.seen_per_s * gpu_ms.value / 1e3 / demand.site.usable)


def nodes(demand: Demand, busy: float, cards: int) -> int:
    """Machines for so many busy cores and cards, Ray's own processes on them included."""
    site = demand.site
    room = site.cores_per_node * site.usable - costs.NODE_CORES
    if room <= 0:
        raise DemandError(f"--headroom {site.headroom:g} leaves nothing of {site.cores_per_node} cores")
    return max(_whole((busy + own_cores(demand, 0)) / room), _whole(cards / site.gpus_per_node), 1)


def own_cores(demand: Demand, machines: int) -> float:
    """Cores that the head, Ray's daemons on so many machines and the supervisor keep busy."""
    return costs.HEAD_CORES + machines * costs.NODE_CORES + shards(demand) * costs.SHARD_CORES


def graph(demand: Demand, shares: Sequence[Share], cards: int) -> Graph:
    """How many of each process."""
    cores = {share.name: share.cores for share in shares}
    usable = demand.site.usable
    track = cores[TRACK] + cores[OBJECTS] + _TRACK_BATCH_SHARE * cores[BATCHES]
    tracks = _whole(track / usable)
    if not cards:
        threads = min(_CPU_REPLICA_CORES, demand.site.cores_per_node)
        replicas = _whole((cores[PREPARE] + cores[MODEL] + cores[BOXES]) / usable / threads)
        return Graph("fused", shards(demand), replicas, 1, tracks, threads, 0.0)
    beside = cores[MODEL] + cores[BOXES] + _DETECT_BATCH_SHARE * cores[BATCHES]
    fused = (beside + cores[PREPARE]) / usable <= cards
    a_card = max(1, math.ceil(beside / usable / cards - _SLACK))  # processes that share it
    prepares = 1 if fused else _whole((cores[PREPARE] + _DETECT_BATCH_SHARE * cores[BATCHES]) / usable)
    topology = "fused" if fused else "split"
    share = math.floor(100 / a_card) / 100
    return Graph(topology, shards(demand), cards * a_card, prepares, tracks, 0, share)


def memory(demand: Demand, needed: Graph, machines: int) -> Memory:
    """Spread evenly, on the node that has the head too."""
    readers = math.ceil(needed.shards / machines)
    replicas = math.ceil(needed.detect_replicas / machines)
    tracks = math.ceil(needed.track_replicas / machines)
    megabytes = 1.5 * costs.NODE_MB + readers * costs.READER_MB + replicas * costs.DETECT_MB + tracks * costs.TRACK_MB
    batches = readers * _IN_FLIGHT * demand.site.max_batch * demand.cameras.picture_bytes
    fresh = readers * demand.site.shard_size * 2 * demand.cameras.picture_bytes
    return Memory((megabytes + fresh / 1e6) / 1e3, batches / 1e9)


def network(cameras: Cameras, machines: int) -> Network:
    """At worst, with every camera's reader, detect and track spread at random."""
    mbit = cameras.mbit_per_s or default_mbit_per_s(cameras)
    into = cameras.count * mbit
    away = (machines - 1) / machines
    pixels = 2 * away * cameras.seen_per_s * cameras.picture_bytes * 8 / 1e6
    return Network(into, pixels, (into + pixels) / machines)


def default_mbit_per_s(cameras: Cameras) -> float:
    """What a camera sends where nobody says."""
    return BITS_PER_PIXEL[cameras.codec] * cameras.width * cameras.height * cameras.camera_fps / 1e6


def redis(demand: Demand) -> RedisNeed:
    """Detections only: events and verdicts are few beside them."""
    cameras = demand.cameras
    message = costs.MESSAGE_BYTES + cameras.objects * costs.OBJECT_BYTES
    entries = cameras.seen_per_s
    held = cameras.count * demand.site.kept_entries * message * costs.REDIS_OVERHEAD / 1e6
    return RedisNeed(held, held * _HARD_FACTOR, entries, entries * message * 8 / 1e6, entries * costs.REDIS_MS / 1e3)


def _whole(amount: float) -> int:
    return max(1, math.ceil(amount - _SLACK)) if amount > 0 else 0
