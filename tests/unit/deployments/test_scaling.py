"""Detect replicas follow the frames that wait: up at once, down slowly, within their bounds, and no to and fro."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.deployments.load import Load
from pipeline.deployments.scaling import SETTLED_S, ReplicaCount, loads_of, stats_of

TARGET, UP_S, DOWN_S = 16.0, 3.0, 60.0
IDLE = Load(queued=0.5, busy=0.2, served_per_s=10.0, shed_per_s=0.0)


def policy(minimum: int = 1, maximum: int = 8) -> ReplicaCount:
    return ReplicaCount(min=minimum, max=maximum, target_queued_frames=TARGET, up_after_s=UP_S, down_after_s=DOWN_S)


def queued(frames: float) -> Load:
    return Load(queued=frames, busy=1.0, served_per_s=50.0, shed_per_s=0.0)


def decided(subject: ReplicaCount, loads: list[Load], target: int, seconds: float, since: float = 0.0) -> list[int]:
    """What is decided every half second, beginning with `since`, while as many run as are to."""
    return [subject.decide(loads, target, target, since + half / 2) for half in range(int(2 * seconds) + 1)]


def settled(subject: ReplicaCount, replicas: int) -> float:
    """When what is told of so many replicas begins to count."""
    decided(subject, [IDLE] * replicas, replicas, SETTLED_S)
    return SETTLED_S


def test_what_is_missing_is_added_at_once_after_up_after_s() -> None:
    subject = policy()
    since = settled(subject, 1)
    assert decided(subject, [queued(50)], 1, UP_S, since) == [1] * 6 + [4]


def test_the_least_that_was_missing_all_the_time_is_added() -> None:
    subject = policy()
    since = settled(subject, 1)
    assert decided(subject, [queued(90)], 1, 1.5, since) == [1] * 4
    assert decided(subject, [queued(20)], 1, 1.0, since + 2) == [1] * 2 + [2]


def test_a_burst_shorter_than_up_after_s_adds_none() -> None:
    subject = policy()
    since = settled(subject, 1)
    for _ in range(5):
        assert set(decided(subject, [queued(90)], 1, UP_S - 0.5, since)) == {1}
        assert subject.decide([IDLE], 1, 1, since + UP_S) == 1
        since += UP_S + 0.5


def test_behind_a_full_replica_what_is_shed_counts_as_what_must_be_served() -> None:
    """Two frames in flight, whatever the load: the queue alone would never ask for more."""
    subject = policy()
    since = settled(subject, 1)
    full = Load(queued=2.0, busy=1.0, served_per_s=10.0, shed_per_s=30.0)
    assert decided(subject, [full], 1, UP_S, since)[-1] == 5  # four would work all the time


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(Load(0.5, 0.3, 10.0, 30.0), id="shed for another reason, the replica rests"),
        pytest.param(Load(2.0, 1.0, 40.0, 0.3), id="hardly any"),
        pytest.param(Load(15.0, 1.0, 40.0, 0.0), id="a full replica that keeps up"),
    ],
)
def test_these_add_none(load: Load) -> None:
    subject = policy()
    assert set(decided(subject, [load], 1, 60)) == {1}


def test_never_more_than_max_and_never_fewer_than_min() -> None:
    subject = policy(2, 3)
    since = settled(subject, 2)
    assert decided(subject, [queued(500)] * 2, 2, UP_S, since)[-1] == 3
    assert set(decided(subject, [IDLE] * 2, 2, 5 * DOWN_S, since + 10)) == {2}


def test_one_goes_every_down_after_s() -> None:
    subject = policy()
    assert decided(subject, [IDLE] * 4, 4, DOWN_S)[-2:] == [4, 3]
    assert decided(subject, [IDLE] * 3, 3, DOWN_S, DOWN_S + 1)[-2:] == [3, 2]


def test_a_moment_of_load_begins_the_wait_for_going_down_anew() -> None:
    subject = policy()
    decided(subject, [IDLE] * 2, 2, DOWN_S - 1)
    subject.decide([queued(16)] * 2, 2, 2, DOWN_S - 0.5)
    assert set(decided(subject, [IDLE] * 2, 2, DOWN_S - 1, DOWN_S)) == {2}


def test_none_goes_that_the_others_could_not_do_without() -> None:
    """Three half busy ones would be two that work all the time, and shed, and be three again."""
    subject = policy()
    assert set(decided(subject, [Load(2.0, 0.5, 20.0, 0.0)] * 3, 3, 3 * DOWN_S)) == {3}


def test_while_replicas_start_nothing_is_added_and_what_is_told_of_before_does_not_count() -> None:
    subject = policy()
    since = settled(subject, 1)
    full = Load(queued=2.0, busy=1.0, served_per_s=10.0, shed_per_s=30.0)
    assert {subject.decide([full], 1, 4, since + second) for second in range(30)} == {4}
    assert set(decided(subject, [full] * 4, 4, SETTLED_S + UP_S - 0.5, since + 30)) == {4}


def test_replicas_that_find_no_place_do_not_keep_it_from_going_down() -> None:
    subject = policy()
    assert [subject.decide([IDLE], 1, 4, second) for second in range(61)][-2:] == [4, 3]


def test_as_long_as_nobody_tells_anything_all_stays() -> None:
    subject = policy()
    assert set(decided(subject, [], 3, 3 * DOWN_S)) == {3}


@dataclass
class Machine:
    """Replicas that serve `per_s` frames a second each; at most `in_flight` are in the graph."""

    per_s: float
    in_flight: float = 8.0
    replicas: int = 1
    starting: list[float] = field(default_factory=list)

    def loads(self, offered_per_s: float) -> list[Load]:
        share = offered_per_s / self.replicas
        busy = min(1.0, share / self.per_s)
        queue = self.in_flight / self.replicas if busy == 1.0 else busy
        return [Load(queue, busy, min(share, self.per_s), max(0.0, share - self.per_s))] * self.replicas

    def scale(self, target: int, now: float) -> None:
        if target > self.replicas and len(self.starting) < target - self.replicas:
            self.starting = [now + 4.0] * (target - self.replicas)  # the model is loaded
        while self.starting and self.starting[0] <= now:
            self.replicas += 1
            del self.starting[0]
        self.replicas = min(self.replicas, target)


def test_a_load_step_is_followed_up_and_down_without_going_to_and_fro() -> None:
    subject, machine, target = policy(1, 8), Machine(per_s=12.0), 1
    seen = []
    for half in range(1200):
        now = half / 2
        offered = 40.0 if 30 <= now < 200 else 10.0
        target = subject.decide(machine.loads(offered), machine.replicas, target, now)
        machine.scale(target, now)
        seen.append(target)
    steps = [after for before, after in itertools.pairwise(seen) if after != before]
    assert steps == [4, 3, 2]  # two: one alone would work for more than LIGHT of the time
    assert seen.index(4) <= 2 * 34


def test_what_serve_hands_over_is_each_replicas_newest_load() -> None:
    def series(*values: float) -> list[Any]:
        return [SimpleNamespace(timestamp=at, value=value) for at, value in enumerate(values)]

    metrics = {name: {"a": series(9.0, value), "b": series(value)} for name, value in stats_of(IDLE).items()}
    metrics["running_requests"] = {"a": series(3.0)}
    del metrics["busy"]["b"]  # it has only begun to tell
    assert loads_of(metrics) == [IDLE]
    context = SimpleNamespace(raw_metrics={}, current_num_replicas=2, target_num_replicas=2)
    assert policy()(context) == (2, {})
