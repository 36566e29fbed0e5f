"""A full stream that nobody reads is told once a minute, in the log and as an event of the camera."""

import logging

import pytest

from pipeline.deployments.reader_cuts import EVERY_S, ReaderCuts
from pipeline.sinks.redis_streams import ReaderCut, WriteOutcome, WriteStatus
from stages.values import CameraId
from tests.unit.deployments.test_tracked_camera import NOW, camera, messages, seen, work

CUT = ReaderCut("rayline:{line-1}:events:cam-1", "rayline-relay-plant")
OTHER = ReaderCut("rayline:{line-1}:inspections", "rayline-relay-plant")


def test_it_is_told_once_a_minute_with_how_often(caplog: pytest.LogCaptureFixture) -> None:
    cuts = ReaderCuts(CameraId("cam-1"))
    assert cuts.events([], NOW) == []
    (first,) = cuts.events([CUT], NOW)
    assert (first.kind, first.data["what"], first.data["stream"]) == ("system", "relay_cut", CUT.stream)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    for second in range(1, 60):
        assert cuts.events([CUT], NOW + second) == []
    (second_event,) = cuts.events([CUT], NOW + EVERY_S)
    assert second_event.data["writes"] == 60
    assert second_event.event_id != first.event_id


def test_what_was_held_back_is_told_though_nothing_is_cut_any_more() -> None:
    cuts = ReaderCuts(CameraId("cam-1"))
    cuts.events([CUT], NOW)
    cuts.events([CUT], NOW + 1)
    assert len(cuts.events([], NOW + EVERY_S)) == 1
    assert cuts.events([], NOW + 10 * EVERY_S) == []


def test_each_stream_is_told_by_itself() -> None:
    assert len(ReaderCuts(CameraId("cam-1")).events([CUT, OTHER], NOW)) == 2


def test_the_event_goes_out_with_what_the_camera_has_to_say() -> None:
    subject = camera()
    write = work(subject, seen(0))
    assert write is not None
    subject.settle(WriteOutcome(WriteStatus.WRITTEN, write.new, cut=(CUT,)), NOW)
    (event,) = messages(subject.loose().events)
    assert event["data"]["what"] == "relay_cut"
    assert event["camera"] == "cam-1"
