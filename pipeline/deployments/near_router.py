"""To which replica a batch goes: to one on its own machine, so that pixels stay there, while that one keeps up."""

from __future__ import annotations

from typing import Any

from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve._private.request_router.request_router import LocalityScope


class NearRouter(PowerOfTwoChoicesRequestRouter):
    """Serve's own choice of two, among the replicas of this machine; among all, where each of those has `most_calls`.

    Serve's own preference would fill the replica next door to its very limit before it looks at one that idles.
    """

    def initialize_state(self, **kwargs: Any) -> None:
        """Called by Serve with `request_router_kwargs`."""
        self._most_calls: int = kwargs["most_calls"]
        self._prefer_local_node_routing = True

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """As Serve asks."""
        near = self._colocated_replica_ids[LocalityScope.NODE]
        if pending_request is not None and near and not any(self._has_room(replica) for replica in near):
            pending_request.routing_context.tried_same_node = True
        return await super().choose_replicas(candidate_replicas, pending_request)

    def _has_room(self, replica: Any) -> bool:
        calls = self.replica_queue_len_cache.get(replica)  # as it told with its last answer
        return calls is None or calls < self._most_calls
