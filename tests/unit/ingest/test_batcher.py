"""Batches of what is ready at the moment they can go."""

import asyncio
import threading
from collections import Counter

import pytest

from pipeline.ingest.batcher import Batcher
from pipeline.ingest.handoff import Handoff, OnFull
from pipeline.ingest.source import SourceInvalid
from stages.values import CameraId, CameraNotice, Clock, EndOfStream, Frame, Position
from tests.fakes import grey_picture


def frame(camera: str, seq: int) -> Frame:
    return Frame(CameraId(camera), seq, 1000.0, Clock.ARRIVAL, Position("live", 1, seq), grey_picture(seq))


def shard(max_batch: int, **held: int) -> tuple[Batcher, dict[str, Handoff]]:
    """A batcher over cameras that hold so many frames each."""
    batcher, handoffs = Batcher(max_batch), {}
    for camera, count in held.items():
        handoffs[camera] = Handoff(100, OnFull.WAIT)
        for seq in range(count):
            handoffs[camera].put(frame(camera, seq))
        batcher.add(CameraId(camera), handoffs[camera])
    return batcher, handoffs


async def test_a_batch_takes_one_frame_a_turn_from_each_camera() -> None:
    batcher, _ = shard(4, a=5, b=1, c=5)
    batch = await batcher.next_batch()
    counts = Counter(f.camera_id for f in batch.frames)
    assert counts == {"a": counts["a"], "b": 1, "c": 3 - counts["a"]}
    assert {counts["a"], counts["c"]} == {1, 2}


async def test_a_busy_camera_never_crowds_out_another() -> None:
    batcher, _ = shard(2, busy=30, b=10, c=10)
    seen: Counter[str] = Counter()
    for _ in range(9):
        seen.update(f.camera_id for f in (await batcher.next_batch()).frames)
    assert seen == {"busy": 6, "b": 6, "c": 6}


async def test_the_order_of_each_camera_is_kept() -> None:
    batcher, _ = shard(3, a=10, b=10)
    frames = [f for _ in range(7) for f in (await batcher.next_batch()).frames]
    for camera in ("a", "b"):
        assert [f.seq for f in frames if f.camera_id == camera] == list(range(10))


async def test_what_is_there_goes_without_waiting_for_a_full_batch() -> None:
    batcher, _ = shard(8, a=1, b=0)
    assert [f.camera_id for f in (await batcher.next_batch()).frames] == ["a"]


async def test_a_waiting_batcher_is_woken_by_a_frame_from_another_thread() -> None:
    batcher, handoffs = shard(8, a=0, b=0)
    waiting = asyncio.create_task(batcher.next_batch())
    await asyncio.sleep(0)
    assert not waiting.done()
    threading.Thread(target=handoffs["b"].put, args=(frame("b", 7),)).start()
    assert (await asyncio.wait_for(waiting, 60)).frames == (frame("b", 7),)


async def test_a_camera_added_later_wakes_it_too() -> None:
    batcher, _ = shard(8)
    waiting = asyncio.create_task(batcher.next_batch())
    await asyncio.sleep(0)
    late = Handoff(2, OnFull.DROP_OLDEST)
    late.put(frame("late", 0))
    batcher.add(CameraId("late"), late)
    assert len((await asyncio.wait_for(waiting, 60)).frames) == 1


async def test_an_end_comes_behind_the_cameras_last_frame_and_the_camera_is_forgotten() -> None:
    batcher, handoffs = shard(8, a=2)
    end = EndOfStream(CameraId("a"), 1, "end of stream")
    handoffs["a"].put(end)
    handoffs["a"].close()
    batch = await batcher.next_batch()
    assert [f.seq for f in batch.frames] == [0, 1]
    assert batch.ends == (end,)
    assert len(batcher) == 0


async def test_a_producer_that_died_without_a_word_ends_its_camera_with_its_error() -> None:
    batcher, handoffs = shard(8, a=1, b=1)
    handoffs["a"].close(SourceInvalid("no video in x.mp4"))
    batch = await batcher.next_batch()
    assert batch.ends == (EndOfStream(CameraId("a"), 0, "no video in x.mp4"),)
    assert sorted(f.camera_id for f in batch.frames) == ["a", "b"]


async def test_a_notice_goes_alone_when_no_frame_is_ready() -> None:
    batcher, _ = shard(8, a=0)
    waiting = asyncio.create_task(batcher.next_batch())
    await asyncio.sleep(0)
    notice = CameraNotice(CameraId("a"), 1, 1000.0, "reconnecting", "lost", False, 5)
    batcher.notice(notice)
    batch = await asyncio.wait_for(waiting, 60)
    assert (batch.frames, batch.notices) == ((), (notice,))


async def test_a_cancelled_wait_loses_no_frame() -> None:
    batcher, handoffs = shard(8, a=0)
    waiting = asyncio.create_task(batcher.next_batch())
    await asyncio.sleep(0)
    handoffs["a"].put(frame("a", 0))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len((await batcher.next_batch()).frames) == 1


async def test_waiting_for_nothing_does_not_spin() -> None:
    batcher, handoffs = shard(8, a=0)
    looks = 0
    original = handoffs["a"].try_take

    def counted() -> Frame | EndOfStream | None:
        nonlocal looks
        looks += 1
        return original()

    handoffs["a"].try_take = counted  # type: ignore[method-assign]
    waiting = asyncio.create_task(batcher.next_batch())
    for _ in range(100):
        await asyncio.sleep(0)
    assert looks == 1
    waiting.cancel()
