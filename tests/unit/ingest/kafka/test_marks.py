"""From where a partition is read on, given its mark and what Redis holds."""

from __future__ import annotations

import msgpack
import pytest

from pipeline.ingest.kafka.marks import CameraMark, PartitionId, PartitionMark, moved, resume
from stages.values import CameraId, Position

HERE = PartitionId("frames", 0)
A, B = CameraId("a"), CameraId("b")
MARK = PartitionMark(50, 10, 0, {A: CameraMark(49, 0, (), 0.0), B: CameraMark(40, 1, (), 0.0)})


@pytest.mark.parametrize(
    ("stored", "offset"),
    [
        pytest.param({A: HERE.position(49, 0), B: HERE.position(40, 1)}, 50, id="Redis holds what the mark says"),
        pytest.param({A: HERE.position(60, 0), B: HERE.position(40, 1)}, 50, id="it holds more"),
        pytest.param({A: HERE.position(49, 0), B: HERE.position(40, 0)}, 40, id="it lost one of a message's pictures"),
        pytest.param({A: HERE.position(49, 0), B: None}, 10, id="it lost a camera"),
        pytest.param(
            {A: HERE.position(49, 0), B: Position("live", 1, 1)}, 10, id="it knows it from where no partition saw it"
        ),
        pytest.param({A: HERE.position(49, 0)}, 50, id="a camera that is no more, or refused, sends nobody back"),
    ],
)
def test_a_partition_is_read_on_behind_what_redis_holds(stored: dict[CameraId, Position | None], offset: int) -> None:
    assert resume(MARK, HERE, stored).mark.offset == offset


def test_a_camera_that_another_partition_saw_later_sends_nobody_back() -> None:
    there = PartitionMark(8, 0, 0, {B: CameraMark(7, 0, (), 5.0)})
    gone = moved({0: MARK, 1: there})
    assert gone == {0: frozenset({B}), 1: frozenset()}
    stored = {A: HERE.position(49, 0), B: PartitionId("frames", 1).position(7, 0)}
    found = resume(MARK, HERE, stored, gone[0]).mark
    assert (found.offset, set(found.cameras)) == (50, {A})
    assert resume(there, PartitionId("frames", 1), stored, gone[1]).mark == there


def test_a_camera_that_redis_knows_from_before_it_moved_is_read_again_where_it_came_last() -> None:
    there = PartitionMark(8, 2, 0, {B: CameraMark(7, 0, (), 5.0)})
    gone = moved({0: MARK, 1: there})
    assert resume(there, PartitionId("frames", 1), {B: HERE.position(40, 1)}, gone[1]).mark.offset == 2


def test_a_camera_that_nobody_can_ask_after_keeps_its_mark_and_one_that_redis_lost_does_not() -> None:
    assert set(resume(MARK, HERE, {A: HERE.position(49, 0)}).mark.cameras) == {A, B}
    assert set(resume(MARK, HERE, {A: HERE.position(49, 0), B: None}).mark.cameras) == {A}


def test_a_mark_comes_back() -> None:
    assert PartitionMark.decode(MARK.encode()) == MARK


@pytest.mark.parametrize("data", [b"", b"hello", msgpack.packb(7), msgpack.packb([2, "new"]), msgpack.packb([1, 2])])
def test_what_is_no_mark_of_this_version_is_told(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgpack has its own words
        PartitionMark.decode(data)
