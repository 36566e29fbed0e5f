"""Real clips through the stages alone: bottles taken and put back are noticed, each pump on the line counts once."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from stages.detect.detector import Detector, ModelSettings
from stages.health.camera_health import CameraHealth, HealthSettings
from stages.preprocess.letterbox import Preprocessor
from stages.track.tracker import Tracker, TrackSettings
from stages.track.zones import LineSettings, Zones, ZonesSettings
from stages.values import (
    CameraId,
    Clock,
    Detections,
    Event,
    Frame,
    HealthState,
    Picture,
    PictureStats,
    PixelFormat,
    Position,
    Tracks,
)

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")

CAMERA = CameraId("clip")
FPS = 30.0
BATCH = 8


@pytest.fixture(scope="module")
def detector() -> Detector:
    weights = SHARED / "weights" / "yolo11n.pt"
    return Detector.load(
        ModelSettings(weights=str(weights), runtime="auto", classes=("bottle",), min_score=0.1), "coco"
    )


def frames_of(clip: str, every: int) -> Iterator[Frame]:
    """Every n-th picture of a clip."""
    with av.open(str(SHARED / "clips" / clip)) as container:
        for number, decoded in islice(enumerate(container.decode(video=0)), 0, None, every):
            data = np.ascontiguousarray(decoded.to_ndarray(format="yuv420p"))
            picture = Picture(data, PixelFormat.YUV420P, decoded.width, decoded.height)
            position = Position("file:clip", 0, number)
            yield Frame(CAMERA, number, number / FPS, Clock.MEDIA, position, picture)


def seen(detector: Detector, frames: Iterator[Frame]) -> Iterator[tuple[Frame, Detections, PictureStats]]:
    """What the detector sees in each frame."""
    preprocessor = Preprocessor((384, 640))
    while batch := list(islice(frames, BATCH)):
        detected = detector.detect(preprocessor.prepare(batch))
        for frame, found, stats in zip(batch, detected.detections, detected.stats, strict=True):
            assert isinstance(found, Detections)
            assert isinstance(stats, PictureStats)
            yield frame, found, stats


def tracked(detector: Detector, clip: str, every: int) -> Iterator[tuple[Frame, Tracks, PictureStats]]:
    """The tracks in each frame, frames between two of them told as lost."""
    tracker = Tracker(TrackSettings(classes=("bottle",)), detector.info.class_names)
    for frame, found, stats in seen(detector, frames_of(clip, every)):
        yield frame, tracker.update(found, frames_skipped=every - 1 if frame.seq else 0), stats


def smoothed(counts: list[int], width: int = 3) -> list[int]:
    padded = np.pad(counts, width // 2, mode="edge")
    return [int(np.median(padded[i : i + width])) for i in range(len(counts))]


def changes(numbers: list[int], counts: list[int]) -> list[tuple[int, int]]:
    """(count, frame it began at), one for each run of equal counts."""
    pairs = list(zip(counts, numbers, strict=True))
    return [pair for i, pair in enumerate(pairs) if i == 0 or pair[0] != pairs[i - 1][0]]


def test_bottles_taken_from_the_shelf_and_put_back_are_noticed(detector: Detector) -> None:
    truth = [(3, 0), (2, 208), (3, 337), (1, 535), (2, 656), (3, 816), (2, 958), (3, 1036)]
    health = CameraHealth(HealthSettings())
    numbers, counts, states, identities = [], [], set(), set()
    for frame, tracks, stats in tracked(detector, "bottle-detection.mp4", every=8):
        numbers.append(frame.seq)
        counts.append(int(np.count_nonzero(tracks.track_id >= 0)))
        identities |= set(tracks.track_id.tolist()) - {-1}
        states.add(health.update(stats, frame.captured_at, frame.captured_at))
    found = changes(numbers, smoothed(counts))
    assert [count for count, _ in found] == [count for count, _ in truth]
    assert [at for _, at in found] == pytest.approx([at for _, at in truth], abs=24)
    assert len(identities) <= 3 + 4  # three stood there, and four times one was put back
    assert states == {HealthState.OK}


def test_each_pump_on_the_conveyor_is_counted_once(detector: Detector) -> None:
    line = LineSettings(name="trigger", start=(0.4, 0.0), end=(0.4, 1.0))  # looking down: right to left is "in"
    zones = Zones(ZonesSettings(lines=(line,)), CAMERA, detector.info.class_names)
    events: list[Event] = []
    for frame, tracks, _ in tracked(detector, "conveyor/IMG_4823_MOV.mp4", every=3):
        events += zones.update(tracks, (640, 640), frame.position, frame.captured_at)
    assert zones.counts == {"trigger": {"in": 5, "out": 0}}
    assert len({event.data["track_id"] for event in events}) == 5
    assert [event.at * FPS for event in events] == pytest.approx([101, 132, 157, 187, 214], abs=9)
