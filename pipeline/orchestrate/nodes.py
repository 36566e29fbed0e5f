"""The machines of the Ray cluster, and how an actor comes to be on one of them."""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray._private.state import available_resources_per_node  # Ray has no public list by node
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.orchestrate.spread import Node


async def nodes_now() -> dict[str, Node]:
    """Every machine that lives, by Ray's id of it."""
    return await asyncio.to_thread(_nodes)


def placed_on(node: str, spread: bool) -> Any:
    """The scheduling strategy of an actor: that node if it lives; for none in particular, where the fewest are."""
    if node:
        return NodeAffinitySchedulingStrategy(node, soft=True)
    return "SPREAD" if spread else "DEFAULT"


def _nodes() -> dict[str, Node]:
    free: Any = available_resources_per_node()  # type: ignore[no-untyped-call]
    found: Any = ray.nodes()  # type: ignore[no-untyped-call]
    return {
        one["NodeID"]: Node(one["Resources"].get("CPU", 0.0), free.get(one["NodeID"], {}).get("CPU", 0.0))
        for one in found
        if one["Alive"]
    }
