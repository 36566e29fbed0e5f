"""What a camera carries while the store is away, and how it tells what that cost."""

from __future__ import annotations

from dataclasses import replace

from pipeline.deployments.camera_road import Seen
from pipeline.sinks.redis_streams import WriteOutcome, WriteStatus
from tests.unit.deployments.test_tracked_camera import FILE, NOW, camera, messages, seen, work, written


def test_live_frames_that_could_not_be_written_are_counted_and_told_once() -> None:
    subject = camera()
    work(subject, seen(0), seen(1))
    subject.settle(None, NOW)
    write = work(subject, seen(2), seen(3), seen(4))
    assert write is not None
    assert [m["dropped_since_last"] for m in messages(write.detections)] == [{"sink_unavailable": 2}, {}, {}]
    told = [e["data"] for e in messages(write.events) if e["kind"] == "system"]
    assert [(d["what"], d["frames_lost"]) for d in told] == [("sink_unavailable", 2)]
    subject.settle(written(write), NOW)
    after = work(subject, seen(5))
    assert after is not None
    assert messages(after.detections)[0]["dropped_since_last"] == {}
    assert [e for e in messages(after.events) if e["kind"] == "system"] == []


def with_dropped(one: Seen, **dropped: int) -> Seen:
    return replace(one, frame=replace(one.frame, dropped=dropped))


def test_what_an_unwritten_frame_had_to_tell_of_frames_before_it_is_told_with_it() -> None:
    subject = camera()
    work(subject, with_dropped(seen(3), queue_full=3))
    assert subject.settle(None, NOW).keeps_count
    work(subject, with_dropped(seen(5), superseded=1))
    subject.settle(WriteOutcome(WriteStatus.AWAY, None, "OOM"), NOW)
    write = work(subject, with_dropped(seen(7), queue_full=1))
    assert write is not None
    expected = {"sink_unavailable": 2, "queue_full": 4, "superseded": 1}
    assert messages(write.detections)[0]["dropped_since_last"] == expected


def test_a_replayable_write_that_did_not_land_loses_nothing_that_is_to_be_counted() -> None:
    subject = camera()
    work(subject, seen(0, FILE))
    assert not subject.settle(None, NOW).keeps_count


def test_losses_a_camera_was_to_tell_are_told_by_its_successor() -> None:
    before = camera()
    work(before, seen(0), seen(1))
    before.settle(None, NOW)
    after = camera()
    after.inherit(before.leave(NOW + 1))
    events = messages(after.loose().events)
    assert [e["data"]["frames_lost"] for e in events] == [2]
    for n in (2, 3):
        write = work(after, seen(n))
        assert write is not None
        told = messages(write.detections)[0]["dropped_since_last"]
        assert told == ({"sink_unavailable": 2} if n == 2 else {})
        assert messages(write.events) == []
        after.settle(written(write), NOW)


def test_the_loss_while_redis_is_away_is_one_event_with_its_whole_sum() -> None:
    subject = camera()
    for n in range(6):
        work(subject, seen(n))
        subject.settle(None, NOW + n)
    write = work(subject, seen(6))
    assert write is not None
    told = [event for event in messages(write.events) if event["kind"] == "system"]
    assert [event["data"]["frames_lost"] for event in told] == [6]


def test_a_verdict_carried_over_an_outage_is_stored_with_its_checkpoint() -> None:
    """Else a replica that dies next would judge the part again."""
    subject = camera()
    for n in range(20):
        work(subject, seen(n, x=20.0 + 12 * n))
        subject.settle(None, NOW)
    write = work(subject, seen(20, x=300))
    assert write is not None
    assert len(write.inspections) == 1
    assert write.checkpoint is not None


def test_a_verdict_made_while_the_store_was_away_is_in_the_next_write() -> None:
    subject = camera()
    way = [seen(n, x=20.0 + 12 * n) for n in range(20)]
    verdicts = []
    for one in way:
        write = work(subject, one)
        assert write is not None
        verdicts = messages(write.inspections)
        subject.settle(None, NOW)
    assert len(verdicts) == 1
    write = work(subject, seen(20, x=300))
    assert write is not None
    assert [m["message_id"] for m in messages(write.inspections)] == [verdicts[0]["message_id"]]
