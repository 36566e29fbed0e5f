"""What a partition's mark keeps, and what its messages cannot do to it."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.marks import CameraMark, PartitionId, PartitionMark, Resume, resume
from pipeline.ingest.kafka.message import MessageRefused, RawMessage, Refusal
from pipeline.ingest.kafka.partition import Partition
from pipeline.ingest.kafka.topic_settings import TopicSettings
from stages.values import CameraId

CAMERA = CameraId("a")
HERE = PartitionId("frames", 0)


def test_the_keyframes_up_to_what_is_published_are_kept_however_far_decoding_is_ahead() -> None:
    keyframes = tuple(range(0, 400, 10))
    mark = PartitionMark(400, 0, 0, {CAMERA: CameraMark(5, 0, keyframes, 0.0)})
    begin = Resume(mark, {CAMERA: HERE.position(5, 0)}, {})
    settings = TopicSettings(brokers=("nowhere:9092",))
    partition = Partition(HERE, settings, TopicCameras(lambda *_: None), begin, lambda *_: True)
    partition.published(CAMERA, HERE.position(205, 0))
    assert partition.mark().cameras[CAMERA].keyframes == keyframes[5:]
    partition.published(CAMERA, HERE.position(399, 0))
    assert partition.mark().cameras[CAMERA].keyframes == keyframes[-16:]


def test_a_camera_whose_keys_are_refused_while_its_partition_opens_keeps_its_mark_and_one_that_is_gone_does_not() -> (
    None
):
    its, cameras = CameraMark(5, 0, (), 0.0), TopicCameras(lambda *_: None)
    cameras.apply({CAMERA: False})
    mark = PartitionMark(9, 0, 0, {CAMERA: its, CameraId("gone"): its})
    partition = Partition(
        HERE, TopicSettings(brokers=("nowhere:9092",)), cameras, resume(mark, HERE, {}), lambda *_: True
    )
    assert partition.mark().cameras == {CAMERA: its}


class Stumbling:
    """A decoder with an error in it."""

    holds_state = False

    def decode(self, message: RawMessage) -> list[Any]:
        raise IndexError("at http://user:secret@store/1.jpg")

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_an_error_of_ours_in_decoding_makes_that_message_a_dead_letter_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused: list[tuple[int, MessageRefused]] = []

    def refuse(message: RawMessage, why: MessageRefused, given_up: object) -> bool:
        refused.append((message.offset, why))
        return True

    cameras = TopicCameras(lambda *_: None)
    cameras.apply({CAMERA: False})
    settings = TopicSettings(brokers=("nowhere:9092",))
    partition = Partition(HERE, settings, cameras, Resume(PartitionMark(0, 0), {}, {}), refuse)
    decoder: Any = Stumbling()
    partition._decoders[CAMERA] = decoder
    for offset in range(2):
        partition._work(RawMessage("frames", 0, offset, b"a", b"picture", (), 1_700_000_000_000))
    assert [(offset, why.code) for offset, why in refused] == [(0, Refusal.NOT_DECODABLE), (1, Refusal.NOT_DECODABLE)]
    assert partition.mark().offset == 2
    assert cameras.status(CAMERA).dropped == {"not_decodable": 2}
    assert caplog.text.count("Traceback") == 1
    assert "IndexError" in caplog.text
    assert "secret" not in caplog.text
