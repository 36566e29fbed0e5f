"""The hand-over between decode thread and loop."""

import threading

import pytest

from pipeline.ingest.handoff import Handoff, HandoffClosed, OnFull, UnmadeFrame
from pipeline.ingest.source import SourceInvalid, UnmadePicture
from stages.values import CameraId, Clock, EndOfStream, Frame, Picture, Position
from tests.fakes import grey_picture


def frame(seq: int) -> Frame:
    return Frame(CameraId("cam"), seq, 1000.0 + seq, Clock.ARRIVAL, Position("live", 1, seq), grey_picture(seq))


END = EndOfStream(CameraId("cam"), 9, "end of stream")


def taken(handoff: Handoff) -> list[Frame]:
    frames = []
    while isinstance(item := handoff.try_take(), Frame):
        frames.append(item)
    return frames


def test_frames_come_out_in_order() -> None:
    handoff = Handoff(3, OnFull.DROP_OLDEST)
    for seq in range(3):
        handoff.put(frame(seq))
    assert [f.seq for f in taken(handoff)] == [0, 1, 2]
    assert handoff.try_take() is None


def test_the_oldest_goes_when_full_and_the_next_frame_carries_the_loss() -> None:
    handoff = Handoff(2, OnFull.DROP_OLDEST)
    for seq in range(6):
        handoff.put(frame(seq))
    first, second = taken(handoff)
    assert (first.seq, dict(first.dropped)) == (4, {"queue_full": 4})
    assert (second.seq, dict(second.dropped)) == (5, {})
    assert handoff.drop_counts() == {"queue_full": 4}


def test_gaps_in_seq_equal_the_losses_carried_whatever_their_reasons() -> None:
    handoff = Handoff(2, OnFull.DROP_OLDEST)
    last_seq, seq = -1, 0
    for step in range(100):
        if step % 7 == 3:
            handoff.count_drop("decode_error", 2)
            seq += 2
        else:
            handoff.put(frame(seq))
            seq += 1
        if step % 5 == 4:
            for got in taken(handoff):
                assert got.seq - last_seq - 1 == sum(got.dropped.values())
                last_seq = got.seq
    assert set(handoff.drop_counts()) == {"decode_error", "queue_full"}


def test_a_waiting_put_goes_on_when_a_frame_is_taken() -> None:
    handoff = Handoff(1, OnFull.WAIT)
    handoff.put(frame(0))
    producer = threading.Thread(target=handoff.put, args=(frame(1),))
    producer.start()
    assert [handoff.take(60.0), handoff.take(60.0)] == [frame(0), frame(1)]
    producer.join(60.0)
    assert not producer.is_alive()
    assert handoff.drop_counts() == {}


def test_a_waiting_put_is_left_when_the_consumer_closes() -> None:
    handoff = Handoff(1, OnFull.WAIT)
    handoff.put(frame(0))
    left = threading.Event()

    def produce() -> None:
        with pytest.raises(HandoffClosed):
            handoff.put(frame(1))
        left.set()

    threading.Thread(target=produce).start()
    handoff.close()
    assert left.wait(60.0)


def test_the_producers_error_reaches_the_consumer_after_the_last_frame() -> None:
    handoff = Handoff(2, OnFull.DROP_OLDEST)
    handoff.put(frame(0))
    handoff.close(SourceInvalid("no video"))
    assert handoff.take() == frame(0)
    for take in (handoff.take, handoff.try_take):
        with pytest.raises(SourceInvalid, match="no video"):
            take()


def test_an_end_has_room_in_a_full_handoff_and_costs_no_frame() -> None:
    handoff = Handoff(1, OnFull.WAIT)
    handoff.put(frame(0))
    handoff.put(END)
    assert [handoff.take(), handoff.take()] == [frame(0), END]


def test_take_times_out_where_nothing_comes() -> None:
    with pytest.raises(TimeoutError):
        Handoff(1, OnFull.WAIT).take(0.0)


def test_the_listener_hears_frames_ends_and_the_close_and_what_lay_there_before() -> None:
    handoff = Handoff(2, OnFull.DROP_OLDEST)
    handoff.put(frame(0))
    heard: list[int] = []
    handoff.set_listener(lambda: heard.append(len(handoff)))
    handoff.put(frame(1))
    handoff.put(END)
    handoff.close()
    assert heard == [1, 2, 3, 3]


def test_nothing_can_be_put_after_the_close() -> None:
    handoff = Handoff(2, OnFull.DROP_OLDEST)
    handoff.close()
    with pytest.raises(HandoffClosed):
        handoff.put(frame(0))


def test_only_pictures_that_are_taken_are_made() -> None:
    handoff = Handoff(2, OnFull.DROP_OLDEST)
    made: list[int] = []

    def unmade(seq: int) -> UnmadeFrame:
        whole = frame(seq)

        def make() -> Picture:
            made.append(seq)
            return whole.image

        picture = UnmadePicture(whole.image.width, whole.image.height, make)
        return UnmadeFrame(whole.camera_id, seq, whole.captured_at, whole.clock, whole.position, picture, 0.0)

    for seq in range(6):
        handoff.put(unmade(seq))
    first, second = taken(handoff)
    assert made == [4, 5]
    assert dict(first.dropped) == {"queue_full": 4}
    assert second == frame(5)
