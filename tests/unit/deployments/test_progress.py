"""A replica is unhealthy when work waits and nothing is completed, never merely for being slow."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack

import pytest

from pipeline.deployments.progress import Progress, Stalled


class ManualClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_an_idle_replica_is_healthy_however_long(clock: ManualClock) -> None:
    progress = Progress(5.0, clock)
    clock.now += 3600
    progress.check()


def test_work_that_never_ends_is_a_stall(clock: ManualClock) -> None:
    progress = Progress(5.0, clock)
    clock.now += 3600
    with progress.working():
        clock.now += 4.9
        progress.check()
        clock.now += 0.2
        with pytest.raises(Stalled, match=r"1 calls wait and none was completed for 5\.1 s"):
            progress.check()


def test_a_saturated_replica_that_completes_something_now_and_then_is_healthy(clock: ManualClock) -> None:
    progress = Progress(5.0, clock)
    waiting = deque(_begun(progress) for _ in range(8))  # always full: each waits for 32 s
    for _ in range(40):
        clock.now += 4
        progress.check()
        waiting.popleft().close()
        waiting.append(_begun(progress))


def test_one_call_that_hangs_beside_others_that_do_not_is_a_stall(clock: ManualClock) -> None:
    progress = Progress(5.0, clock)
    with progress.working():
        for _ in range(3):
            clock.now += 2
            progress.check()
            with progress.working():
                pass
        clock.now += 1.5
        with pytest.raises(Stalled, match=r"a call hangs: one behind it was completed 5\.5 s ago"):
            progress.check()
    progress.check()


def test_work_that_raised_is_not_waiting_any_more(clock: ManualClock) -> None:
    progress = Progress(5.0, clock)
    with pytest.raises(ValueError, match="bad"), progress.working():
        raise ValueError("bad")
    clock.now += 60
    progress.check()


def _begun(progress: Progress) -> ExitStack:
    """One piece of work, until it is closed."""
    stack = ExitStack()
    stack.enter_context(progress.working())
    return stack
