"""From what is asked for to the machines it needs: arithmetic, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.capacity import needs
from pipeline.capacity.cost import Cost
from pipeline.capacity.demand import Demand
from pipeline.capacity.measured import Measured
from pipeline.capacity.needs import Graph, Memory, Network, RedisNeed
from pipeline.capacity.remarks import assumptions, warnings
from pipeline.capacity.shares import Share, shares_of
from pipeline.capacity.work import model_work
from stages.detect.settings import Runtime


@dataclass(frozen=True, slots=True)
class Plan:
    """The machines a demand needs, and what was taken for granted."""

    demand: Demand
    runtime: Runtime
    shares: tuple[Share, ...]
    cores: float  # kept busy on all nodes, Ray's own included, headroom not
    nodes: int
    gpu_ms: Cost | None  # an image; None: the model runs on CPUs
    gpus: int
    graph: Graph
    memory: Memory
    network: Network
    redis: RedisNeed
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]


def plan(demand: Demand, measured: Measured | None = None) -> Plan:
    """The machines `demand` needs; `measured` here, or else by the tables.

    Raises DemandError where a figure is missing that only the asker can give.
    """
    work = model_work(demand, measured)
    shares = shares_of(demand, work, measured)
    busy = sum(share.cores for share in shares)
    gpus = needs.gpus(demand, work.gpu_ms)
    nodes = needs.nodes(demand, busy, gpus)
    graph = needs.graph(demand, shares, gpus)
    network, redis = needs.network(demand.cameras, nodes), needs.redis(demand)
    return Plan(
        demand,
        work.runtime,
        shares,
        busy + needs.own_cores(demand, nodes),
        nodes,
        work.gpu_ms,
        gpus,
        graph,
        needs.memory(demand, graph, nodes),
        network,
        redis,
        assumptions(demand, shares, work.gpu_ms),
        warnings(demand, shares, work.gpu_ms, graph, network, redis),
    )
