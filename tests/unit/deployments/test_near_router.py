"""A batch goes to a replica of its own machine while that keeps up, and no replica next door idles meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from ray.serve._private.common import DeploymentHandleSource, DeploymentID, ReplicaID, RequestMetadata
from ray.serve._private.request_router.common import PendingRequest

from pipeline.app import NEAR
from pipeline.deployments.near_router import NearRouter

DETECT = DeploymentID("detect", "rayline")
MOST_CALLS: int = NEAR["request_router_kwargs"]["most_calls"]


@dataclass
class Replica:
    """As the router knows one."""

    replica_id: ReplicaID
    node_id: str
    availability_zone: str | None = None
    multiplexed_model_ids: frozenset[str] = frozenset()
    max_ongoing_requests: int = 16

    async def get_queue_len(self, *, deadline_s: float) -> int:
        return 0


async def router(**nodes: str) -> NearRouter:
    """One on `here`, which knows these replicas."""
    made = NearRouter(
        deployment_id=DETECT,
        handle_source=DeploymentHandleSource.UNKNOWN,
        self_node_id="here",
        use_replica_queue_len_cache=True,
    )
    made.initialize_state(**NEAR["request_router_kwargs"])
    made.update_replicas([Replica(ReplicaID(name, DETECT), node) for name, node in nodes.items()])  # type: ignore[misc]
    for _ in range(5):  # what it asks each new replica first
        await asyncio.sleep(0)
    return made


async def tried(subject: NearRouter, calls: dict[str, int]) -> set[str]:
    """The replicas it asks for one batch, knowing how many calls each has."""
    for name, number in calls.items():
        subject.on_new_queue_len_info(ReplicaID(name, DETECT), number)
    request = PendingRequest(args=[], kwargs={}, metadata=RequestMetadata("r", "r"))
    ranks = await subject.choose_replicas(list(subject.curr_replicas.values()), request)
    return {replica.replica_id.unique_id for rank in ranks for replica in rank}


@pytest.mark.parametrize(
    ("calls", "asked"),
    [
        pytest.param({}, {"near"}, id="nothing is known of it yet"),
        pytest.param({"near": MOST_CALLS - 1, "far": 0}, {"near"}, id="it keeps up, though another idles"),
        pytest.param({"near": MOST_CALLS, "far": 0}, {"near", "far"}, id="it does not"),
    ],
)
async def test_with_one_replica_here_and_one_there(calls: dict[str, int], asked: set[str]) -> None:
    assert await tried(await router(near="here", far="there"), calls) == asked


async def test_with_two_here_one_that_keeps_up_is_enough() -> None:
    subject = await router(near="here", next="here", far="there")
    assert await tried(subject, {"near": MOST_CALLS, "next": 0, "far": 0}) == {"near", "next"}


async def test_with_none_here_any_will_do() -> None:
    assert await tried(await router(far="there", further="elsewhere"), {}) == {"far", "further"}
