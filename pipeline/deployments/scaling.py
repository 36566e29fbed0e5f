"""How many detect replicas there are to be: they follow the frames that wait for them. Serve's controller asks."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from pipeline.deployments.load import Load

SETTLED_S = 5.0  # after replicas came or went: what is told of the time before is no reason for more
FULL = 0.8  # share of the time from which a replica cannot take what was shed
AIM = 0.85  # share of their time that replicas are to work once what was shed is served too
LIGHT = 0.7  # share of their time that those who stay may have to work, where one is to go
FEW = 0.01  # share of the frames shed that is no reason for a replica

_KEEPS = 1e-9


class ReplicaCount:
    """Up at once, by as many as are missing, where they are missing for `up_after_s`; down one every `down_after_s`.

    Two things ask for more. Frames queued, where they are more than `target_queued_frames` a replica. And frames shed:
    a shard has at most `max_in_flight` batches here, so behind a full replica a live camera's frames do not queue, they
    go; what is served and what is shed, together, are what must be served. Shed while the replicas rest, for track or
    Redis was slow, they count for nothing.
    """

    def __init__(self, min: int, max: int, target_queued_frames: float, up_after_s: float, down_after_s: float) -> None:
        self._min, self._max = min, max
        self._target_queued_frames = target_queued_frames
        self._up_after_s, self._down_after_s = up_after_s, down_after_s
        self._running = 0
        self._settled_at = -math.inf
        self._since: float | None = None  # when more, or fewer, began to be wanted
        self._least = self._max  # that was wanted since then, where it was more

    def __call__(self, ctx: Any) -> tuple[int, dict[str, Any]]:
        """Called by Serve twice a second, with its AutoscalingContext; it keeps no state for us."""
        loads = loads_of(ctx.raw_metrics or {})
        return self.decide(loads, ctx.current_num_replicas, ctx.target_num_replicas, time.monotonic()), {}

    def decide(self, loads: Sequence[Load], running: int, target: int, now: float) -> int:
        """The new target. `loads` are those of the replicas that have told theirs."""
        if running != self._running:
            self._running, self._settled_at = running, now + SETTLED_S
        wanted = self._wanted(loads, running, target) if loads else target
        if wanted > target and running >= target and now >= self._settled_at:
            return self._up(wanted, target, now)
        if wanted < target:
            return self._down(target, now)
        self._since = None
        return self._bounded(target)

    def _up(self, wanted: int, target: int, now: float) -> int:
        if self._since is None or self._least <= target:
            self._since, self._least = now, wanted
        self._least = min(self._least, wanted)
        if now - self._since < self._up_after_s - _KEEPS:
            return target
        self._since = None
        return self._least

    def _down(self, target: int, now: float) -> int:
        if self._since is None or self._least > target:
            self._since, self._least = now, target
        if now - self._since < self._down_after_s - _KEEPS:
            return target
        self._since = None
        return self._bounded(target - 1)

    def _wanted(self, loads: Sequence[Load], running: int, target: int) -> int:
        queued = sum(load.queued for load in loads) / self._target_queued_frames
        busy = sum(load.busy for load in loads)
        served, shed = sum(load.served_per_s for load in loads), sum(load.shed_per_s for load in loads)
        wanted = max(queued, min(target, busy / LIGHT))
        if busy >= FULL * len(loads) and shed > FEW * (served + shed):
            wanted = max(wanted, running * (served + shed) / max(served, 1e-3) / AIM)
        return self._bounded(math.ceil(wanted - _KEEPS))

    def _bounded(self, replicas: int) -> int:
        return max(self._min, min(self._max, replicas))


def stats_of(load: Load) -> dict[str, float]:
    """A load as a replica tells it to Serve."""
    return load._asdict()


def loads_of(metrics: dict[str, dict[Any, Any]]) -> list[Load]:
    """Each replica's newest load, out of Serve's series by name and replica."""
    replicas = set.intersection(*(set(metrics.get(name) or {}) for name in Load._fields))
    return [Load(*(metrics[name][replica][-1].value for name in Load._fields)) for replica in replicas]
