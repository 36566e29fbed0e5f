"""Which shard moves to which machine, so that each reads its fair share: one at a time, and only while all is well."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

LOOK_S = 5.0  # between two looks, and so between two moves: what moved is back before the next one goes

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, as Ray counts it."""

    cores: float
    free: float  # of these, not set aside for anybody


class Move(NamedTuple):
    """A shard, and the node that is to read it."""

    shard: str
    node: str


def next_move(
    placed: Mapping[str, str], nodes: Mapping[str, Node], share: float, last: Collection[str] = ()
) -> Move | None:
    """The move that evens out most; None where no node has more than its fair share and one, or none has room.

    `placed` is shard -> node; fair is by cores. `share` is what a reader sets aside. Shards in `last`, which lose by a
    move, go when no other can. Each move brings the nodes nearer to fair, so moves come to an end.
    """
    there = {shard: node for shard, node in placed.items() if node in nodes}
    cores = sum(node.cores for node in nodes.values())
    if not there or cores <= 0:
        return None
    count = Counter(there.values())
    fair = {name: len(there) * node.cores / cores for name, node in nodes.items()}
    excess = {name: count[name] - fair[name] for name in nodes}
    room = [name for name, node in nodes.items() if node.cores > 0 and node.free + _ROUNDING >= share]
    if not room:
        return None
    fullest = max(count, key=lambda name: (excess[name], name))
    emptiest = min(room, key=lambda name: (excess[name], name))
    if count[fullest] <= math.ceil(fair[fullest]) or excess[fullest] - excess[emptiest] <= 1 + _ROUNDING:
        return None
    shard = min((s for s, node in there.items() if node == fullest), key=lambda s: (s in last, s))
    return Move(shard, emptiest)


class Spreading:
    """When to look for a move, and when to make it."""

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._look_at = clock() + LOOK_S
        self._known: frozenset[str] = frozenset()  # nodes, at the last look

    def is_due(self) -> bool:
        """True once every LOOK_S."""
        if self._clock() < self._look_at:
            return False
        self._look_at = self._clock() + LOOK_S
        return True

    def move(self, placed: Mapping[str, str], nodes: Mapping[str, Node], last: Collection[str] = ()) -> Move | None:
        """See `next_move`. None while nodes come and go: they are to have been there at two looks, all of them."""
        before, self._known = self._known, frozenset(nodes)
        if before != self._known or len(nodes) < 2:
            return None
        return next_move(placed, nodes, self._share, last)
