"""A restored tracker has the future the first one would have had."""

from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH, KalmanFilterXYWH

from stages.track.tracker import Tracker, TrackerKind, TrackSettings
from stages.values import Detections, Tracks
from tests.unit.stages.track.paths import at, detections

every_kind = pytest.mark.parametrize("kind", list(TrackerKind))

MAX_BYTES = 4096


def shaky_belt(seed: int, frames: int) -> Iterator[tuple[Detections, int]]:
    """Parts entering, leaving, hidden, weakly seen; frames lost: whatever makes state."""
    random = np.random.default_rng(seed)
    shift = 0
    for _ in range(frames):
        skipped = int(random.choice([0, 0, 0, 1, 3]))
        shift += 9 * (skipped + 1)
        boxes = [at(shift - 90 * n, 180) for n in range(12) if 0 < shift - 90 * n < 640 and random.random() > 0.15]
        shaken = np.array(boxes).reshape(-1, 4) + random.normal(0, 1.5, (len(boxes), 4))
        yield detections(shaken.tolist(), random.choice([0.9, 0.6, 0.15], len(boxes), p=[0.7, 0.2, 0.1])), skipped


def through_the_wire(checkpoint: dict[str, Any]) -> dict[str, Any]:
    restored: dict[str, Any] = msgpack.unpackb(msgpack.packb(checkpoint))
    return restored


def assert_same(one: Tracks, other: Tracks) -> None:
    for name in ("xyxy", "score", "class_id", "track_id"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@every_kind
@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_restored_at_any_frame_the_future_is_the_same(kind: TrackerKind, seed: int) -> None:
    wanted = TrackSettings(kind=kind, max_lost_frames=12)
    seen = list(shaky_belt(seed, 24))
    subject = Tracker(wanted)
    checkpoints, outputs = [subject.checkpoint()], []
    for found, skipped in seen:
        outputs.append(subject.update(found, frames_skipped=skipped))
        checkpoints.append(subject.checkpoint())
    for k in range(0, len(seen), 3):
        restored = Tracker(wanted)
        restored.restore(through_the_wire(checkpoints[k]))
        for (found, skipped), expected in zip(seen[k:], outputs[k:], strict=True):
            assert_same(restored.update(found, frames_skipped=skipped), expected)
        assert restored.checkpoint() == checkpoints[-1]


@every_kind
def test_twelve_tracks_fit_in_four_kilobytes(kind: TrackerKind) -> None:
    subject = Tracker(TrackSettings(kind=kind), next_id=2_000_000_000)
    for f in range(40):
        subject.update(detections([at(40 + f + 48 * n, 180, 40, 80) for n in range(12)]))
    subject.update(Detections.empty())
    checkpoint = subject.checkpoint()
    assert len(msgpack.packb(checkpoint)) <= MAX_BYTES
    assert len(checkpoint["tracks"]) >= 12 * 95


def test_bytetrack_needs_little_more_than_a_kilobyte() -> None:
    subject = Tracker(TrackSettings())
    for f in range(40):
        subject.update(detections([at(40 + f + 48 * n, 180, 40, 80) for n in range(12)]))
    assert len(msgpack.packb(subject.checkpoint())) < 1300


def test_memory_stays_bounded_over_many_objects() -> None:
    subject = Tracker(TrackSettings(max_lost_frames=5))
    for f in range(300):
        subject.update(detections([at(100 + 200 * (f // 3 % 3), 180)]))
    assert subject.next_id > 50
    assert len(msgpack.packb(subject.checkpoint())) < 500


def test_identities_are_not_used_again_by_a_fresh_tracker_or_another_kind() -> None:
    old = Tracker(TrackSettings(kind=TrackerKind.BYTETRACK))
    old.update(detections([at(100, 180), at(300, 180)]))
    new = Tracker(TrackSettings(kind=TrackerKind.BOTSORT))
    new.restore(old.checkpoint())
    assert new.update(detections([at(100, 180), at(300, 180)])).track_id.tolist() == [3, 4]


def test_restoring_never_counts_back() -> None:
    subject = Tracker(TrackSettings(), next_id=50)
    subject.restore(Tracker(TrackSettings()).checkpoint())
    assert subject.next_id == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"v": 2}, "version 2", id="of a later version"),
        pytest.param({"record": "history"}, "this build reads 1 .core", id="of other records"),
        pytest.param({"tracks": b"12345"}, "is cut", id="cut short"),
        pytest.param({"next_id": None}, "not a tracker checkpoint", id="without its count"),
        pytest.param({"velocity": [1.0]}, "not a tracker checkpoint", id="with half a velocity"),
    ],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(change: dict[str, Any], message: str) -> None:
    subject = Tracker(TrackSettings())
    subject.update(detections([at(100, 180)]))
    before = subject.checkpoint()
    with pytest.raises(ValueError, match=message):
        subject.restore({**before, **change})
    assert subject.checkpoint() == before


@pytest.mark.parametrize("family", [KalmanFilterXYAH, KalmanFilterXYWH])
def test_the_filters_covariance_has_the_twelve_numbers_a_record_keeps_and_no_other(family: type) -> None:
    kalman, random = family(), np.random.default_rng(1)
    box = np.array([100.0, 50.0, 40.0, 80.0])
    mean, covariance = kalman.initiate(box)
    kept = np.eye(8) + np.eye(8, k=4) + np.eye(8, k=-4)
    for _ in range(50):
        mean, covariance = kalman.predict(mean, covariance)
        mean, covariance = kalman.update(mean, covariance, box + random.normal(0, 2, 4))
        assert not np.any(covariance[kept == 0])
