"""What a replica has to do is counted in frames, whatever a call carries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.deployments.load import Load, LoadMeter, shed_before
from stages.values import FrameBatch
from tests.unit.deployments.test_progress import ManualClock
from tests.unit.ingest.test_batcher import frame


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_frames_are_counted_for_as_long_as_they_are_there(clock: ManualClock) -> None:
    meter = LoadMeter(clock)
    clock.now += 1
    with meter.working(8, shed=6):
        clock.now += 1
        with meter.working(4, shed=0):
            clock.now += 2
    load = meter.take()
    assert load == pytest.approx(Load(queued=(8 + 2 * 12) / 4, busy=0.75, served_per_s=3.0, shed_per_s=1.5))


def test_each_look_begins_anew_and_what_is_under_way_goes_on(clock: ManualClock) -> None:
    meter = LoadMeter(clock)
    with meter.working(2, shed=1):
        clock.now += 1
        assert meter.take() == pytest.approx(Load(2.0, 1.0, 0.0, 1.0))
        clock.now += 1
        assert meter.take() == pytest.approx(Load(2.0, 1.0, 0.0, 0.0))
    clock.now += 1
    assert meter.take() == pytest.approx(Load(0.0, 0.0, 2.0, 0.0))


def test_a_call_that_fails_is_over_too(clock: ManualClock) -> None:
    meter = LoadMeter(clock)
    with pytest.raises(ValueError, match="no"), meter.working(2, shed=0):
        raise ValueError("no")
    clock.now += 1
    assert meter.take().queued == 0


def test_only_what_fresher_frames_displaced_would_have_come_here() -> None:
    first = replace(frame("cam-1", 4), dropped={"queue_full": 3, "behind": 5})
    batch = FrameBatch("shard", 0, (first, frame("cam-1", 5), replace(frame("cam-2", 9), dropped={"queue_full": 1})))
    assert shed_before(batch) == 4
