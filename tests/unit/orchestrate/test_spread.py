"""Shards move to where fewer are, one at a time, until each machine has its fair share; then nothing moves."""

from __future__ import annotations

import pytest

from pipeline.orchestrate.spread import LOOK_S, Move, Node, Spreading, next_move
from tests.unit.deployments.test_progress import ManualClock

SHARE = 0.2
FOUR = Node(cores=4, free=2)


def shards(**counts: int) -> dict[str, str]:
    """So many shards on each node, by names that sort as they stand here."""
    return {f"{node}-{number}": node for node, count in counts.items() for number in range(count)}


def moved(placed: dict[str, str], nodes: dict[str, Node]) -> list[Move]:
    """One move after another, until there is none."""
    made = []
    while (move := next_move(placed, nodes, SHARE)) is not None:
        made.append(move)
        placed[move.shard] = move.node
        assert len(made) <= 100
    return made


def counts(placed: dict[str, str]) -> dict[str, int]:
    return {node: list(placed.values()).count(node) for node in sorted(set(placed.values()))}


@pytest.mark.parametrize(
    ("before", "cores", "after", "moves"),
    [
        pytest.param({"a": 6}, {"a": 4, "b": 4}, {"a": 3, "b": 3}, 3, id="a node has joined"),
        pytest.param({"a": 3, "b": 3}, {"a": 4, "b": 4, "c": 4}, {"a": 2, "b": 2, "c": 2}, 2, id="a third"),
        pytest.param({"a": 9}, {"a": 2, "b": 4}, {"a": 3, "b": 6}, 6, id="fair is by cores"),
        pytest.param({"a": 2, "b": 1}, {"a": 4, "b": 4}, {"a": 2, "b": 1}, 0, id="one more is fair"),
        pytest.param({"a": 1}, {"a": 4, "b": 16}, {"a": 1}, 0, id="one shard stays where it is"),
        pytest.param({"a": 3}, {"a": 4, "head": 0}, {"a": 3}, 0, id="a node without cores takes none"),
        pytest.param({"a": 3}, {"a": 4}, {"a": 3}, 0, id="one node"),
        pytest.param({"gone": 3, "a": 1}, {"a": 4, "b": 4}, {"a": 1, "gone": 3}, 0, id="what died starts by itself"),
        pytest.param({}, {"a": 4, "b": 4}, {}, 0, id="no shards"),
    ],
)
def test_shards_move_until_each_node_has_its_fair_share(
    before: dict[str, int], cores: dict[str, float], after: dict[str, int], moves: int
) -> None:
    placed = shards(**before)
    assert len(moved(placed, {name: Node(its, its) for name, its in cores.items()})) == moves
    assert counts(placed) == after


def test_no_node_ends_with_more_than_its_fair_share_and_one() -> None:
    for joined in range(1, 8):
        for many in range(30):
            nodes = {f"n{n}": Node(1 + n % 3, 1) for n in range(joined)}
            placed = shards(n0=many)
            moved(placed, nodes)
            cores = sum(node.cores for node in nodes.values())
            for name, held in counts(placed).items():
                assert held <= many * nodes[name].cores / cores + 1 + 1e-6


def test_a_node_without_room_takes_none() -> None:
    placed = shards(a=6)
    assert next_move(placed, {"a": FOUR, "b": Node(4, 0.1)}, SHARE) is None
    assert next_move(placed, {"a": FOUR, "b": Node(4, 0.1), "c": Node(4, 0.2)}, SHARE) == Move("a-0", "c")


def test_who_loses_by_a_move_goes_when_no_other_can() -> None:
    nodes = {"a": FOUR, "b": FOUR}
    assert next_move(shards(a=4), nodes, SHARE, last=("a-0", "a-1")) == Move("a-2", "b")
    assert next_move(shards(a=2), nodes, SHARE, last=("a-0", "a-1")) == Move("a-0", "b")


def test_it_looks_now_and_then_and_waits_until_the_nodes_stay() -> None:
    clock = ManualClock()
    subject = Spreading(SHARE, clock)
    assert not subject.is_due()
    clock.now += LOOK_S
    assert subject.is_due()
    assert not subject.is_due()
    placed, both = shards(a=4), {"a": FOUR, "b": FOUR}
    assert subject.move(placed, {"a": FOUR}) is None
    assert subject.move(placed, both) is None
    assert subject.move(placed, both) == Move("a-0", "b")
    assert subject.move(placed, {**both, "c": FOUR}) is None
    assert subject.move(placed, {"a": FOUR}) is None
