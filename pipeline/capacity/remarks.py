"""What a plan takes for granted, with where it is from, and what would not go well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.capacity import costs
from pipeline.capacity.cost import Cost, Known
from pipeline.capacity.demand import Demand
from pipeline.capacity.needs import Graph, Network, RedisNeed, default_mbit_per_s, own_cores
from pipeline.capacity.shares import DECODE, TAKE, Share, frames_per_batch

_MOST_REPLICAS = 64  # what graph.detect_replicas and the others take
_FAST_NETWORK_MBIT = 10_000
_UNSURE = (Known.PUBLISHED, Known.SCALED, Known.ASSUMED)


def assumptions(demand: Demand, shares: Sequence[Share], gpu_ms: Cost | None) -> tuple[str, ...]:
    """One sentence each: figure, how it is known, source."""
    return tuple(_assumptions(demand, shares, gpu_ms))


def _assumptions(demand: Demand, shares: Sequence[Share], gpu_ms: Cost | None) -> Iterator[str]:
    cameras, site = demand.cameras, demand.site
    for share in shares:
        yield _told(f"{share.name}: {share.cost.value:.3g} ms of a core per {share.unit}", share.cost)
    if gpu_ms is not None:
        yield _told(f"GPU: {gpu_ms.value:.3g} ms an image; batches beyond one are taken to be no faster", gpu_ms)
    fill = frames_per_batch(demand)
    yield _told(f"{fill.value:g} frames a batch; load gives more", fill)
    yield f"each camera sends {cameras.camera_fps:g} frames/s, and all of them are decoded, on cores"
    if cameras.mbit_per_s is None:
        bits = costs.BITS_PER_PIXEL[cameras.codec]
        yield (
            f"each camera sends {default_mbit_per_s(cameras):.2g} Mbit/s (assumed: {bits:g} bits a pixel; give --mbit)"
        )
    yield f"Redis keeps {site.kept_entries:,} detections a camera (redis.maxlen_detections); {costs.REDIS_SOURCE}"
    yield f"{site.headroom:.0%} of every core and GPU stays free"
    yield f"cores are as fast as those that were measured, if not here: {costs.MACHINE}"


def warnings(
    demand: Demand, shares: Sequence[Share], gpu_ms: Cost | None, graph: Graph, network: Network, redis: RedisNeed
) -> tuple[str, ...]:
    """What would not go well as planned, and what to do."""
    return tuple(_warnings(demand, shares, gpu_ms, graph, network, redis))


def _warnings(
    demand: Demand, shares: Sequence[Share], gpu_ms: Cost | None, graph: Graph, network: Network, redis: RedisNeed
) -> Iterator[str]:
    usable = demand.site.usable
    busy = sum(share.cores for share in shares)
    for name in ("detect_replicas", "preprocess_replicas", "track_replicas"):
        wanted = getattr(graph, name)
        if wanted > _MOST_REPLICAS:
            yield f"{wanted} {name} are more than one Rayline takes ({_MOST_REPLICAS}): split the cameras over several"
    if redis.cores > usable:
        yield f"Redis would need {redis.cores:.1f} cores and uses one: split the cameras over several Raylines"
    reader = sum(share.cores for share in shares if share.name in {DECODE, TAKE}) / graph.shards
    if reader > 2 * usable:
        yield f"a reader would keep {reader:.1f} cores busy: lower graph.shard_size, or take a smaller stream"
    own = own_cores(demand, 0)
    if own > usable:
        yield f"the head's processes would keep {own:.1f} cores busy: raise graph.shard_size, or run several Raylines"
    if network.busiest_node > _FAST_NETWORK_MBIT:
        yield (
            f"up to {network.busiest_node / 1e3:.0f} Gbit/s into one node, nearly all of it decoded pictures: keep "
            "readers and detect together (one Rayline a node), or look at smaller pictures"
        )
    unsure = [share.name for share in shares if share.cost.known in _UNSURE and share.cores > busy / 20]
    unsure += ["GPU"] if gpu_ms is not None and gpu_ms.known in _UNSURE else []
    if unsure:
        yield f"not measured: {', '.join(unsure)}; --measure on such a machine tells more"


def _told(figure: str, cost: Cost) -> str:
    return f"{figure} ({cost.known}: {cost.source})"
