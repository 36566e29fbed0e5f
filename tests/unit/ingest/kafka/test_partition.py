"""What a partition's mark keeps."""

from __future__ import annotations

from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.marks import CameraMark, PartitionId, PartitionMark, Resume
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
