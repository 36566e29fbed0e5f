"""The road of a camera's frames: from where the store has them, each with what is known before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.deployments.camera_road import Seen
from pipeline.sinks.redis_streams import Stored
from pipeline.sinks.snapshots import Snapshots, SnapshotSettings
from stages.results.messages import rfc3339
from stages.values import CameraNotice, FrameFailed, ModelInfo
from tests.unit.deployments.test_tracked_camera import CAM, FILE, NOW, camera, messages, seen, work, written


def test_frames_at_or_before_the_stored_cursor_are_dropped_before_the_tracker_sees_them() -> None:
    cursor = seen(4, FILE).frame.position.encode()
    write = work(camera(Stored(cursor)), *(seen(n, FILE) for n in range(3, 7)))
    assert write is not None
    assert [m["seq"] for m in messages(write.detections)] == [5, 6]


def test_a_live_epoch_above_the_stored_one_goes_on_from_its_first_frame() -> None:
    cursor = seen(400, epoch=7).frame.position.encode()
    write = work(camera(Stored(cursor)), seen(0, epoch=8))
    assert write is not None
    assert (write.prev, len(write.detections)) == (cursor, 1)


def test_track_ids_hold_however_long_the_store_is_away() -> None:
    """Frames that could not be written were seen all the same: the tracker must not be told that they were skipped."""
    subject, ids = camera(), set()
    for n in range(40):
        write = work(subject, seen(n, x=20.0 + 2 * n))
        assert write is not None
        ids.add(messages(write.detections)[0]["objects"][0]["id"])
        subject.settle(None, NOW)
    assert len(ids - {None}) == 1
    assert None not in ids or len(ids) == 2


def test_a_frame_that_failed_before_anything_was_known_is_published_with_its_error() -> None:
    subject = camera()
    one = seen(0)
    unknown = ModelInfo("m", "", "", ())
    write = subject.work([Seen(one.frame, FrameFailed("no model"), one.stats, {})], [], None, unknown, NOW)
    assert write is not None
    assert messages(write.detections)[0]["error"] == "no model"
    subject.settle(written(write), NOW)
    after = work(subject, seen(1), seen(2))
    assert [len(m["objects"]) for m in messages(after.detections if after else [])] == [2, 2]


def test_a_camera_taken_over_goes_on_with_its_track_ids() -> None:
    before = camera()
    write = None
    for n in range(5):
        write = work(before, seen(n, FILE, x=20.0 + 12 * n))
        before.settle(written(write), NOW)
    assert write is not None
    after = work(camera(Stored(write.new, write.checkpoint)), seen(5, FILE, x=80.0))
    last, first = messages(write.detections)[-1], messages(after.detections if after else [])[0]
    assert first["objects"][0]["id"] == last["objects"][0]["id"] is not None


def test_an_unreadable_checkpoint_starts_tracking_anew() -> None:
    cursor = seen(0, FILE).frame.position.encode()
    write = work(camera(Stored(cursor, b"\x81\xa7version\x63")), seen(1, FILE))
    assert write is not None
    assert len(write.detections) == 1


def test_a_camera_that_was_away_before_its_first_frame_is_inspected_after_it_and_the_time_before_is_told() -> None:
    subject = camera()
    work(subject, notices=(CameraNotice(CAM, 1, NOW - 30, "reconnecting", "refused", seeing=False, epoch=7),))
    verdicts: list[dict[str, Any]] = []
    for n in range(20):
        write = work(subject, seen(n, x=20.0 + 12 * n))
        assert write is not None
        verdicts += messages(write.inspections)
        subject.settle(written(write), NOW)
    assert [v["verdict"] for v in verdicts if v["kind"] == "inspection"] == ["pass"]
    intervals = [(v["interval_id"], v["until"] is None) for v in verdicts if v["kind"] == "uninspected"]
    assert [is_open for _, is_open in intervals] == [True, False]
    assert len({name for name, _ in intervals}) == 1


def test_the_picture_of_a_part_that_did_not_pass_is_stored_before_its_entry(tmp_path: Path) -> None:
    subject = camera(snapshots=Snapshots(SnapshotSettings(uri=str(tmp_path))))
    verdicts = []
    for n in range(20):
        one = seen(n, x=20.0 + 12 * n)
        bottle = np.array([True, False])
        write = work(subject, Seen(one.frame, one.found.keep(bottle), one.stats, {}))  # type: ignore[union-attr]
        assert write is not None
        verdicts += messages(write.inspections)
        subject.settle(written(write), NOW)
    assert [v["verdict"] for v in verdicts] == ["reject"]
    assert Path(verdicts[0]["snapshot"]["uri"].removeprefix("file://")).exists()


def test_a_loss_of_the_camera_is_heard_between_the_frames_it_lies_between() -> None:
    """Lost and back within one slow batch: blind from the last frame before to the first behind, not afterwards."""
    subject = camera()
    frames = [seen(n) for n in (*range(10), *range(40, 50))]
    frames = [replace(s, frame=replace(s.frame, received_at=s.frame.captured_at)) for s in frames]
    lost = CameraNotice(CAM, 1, NOW + 2.0, "reconnecting", "the stream ended", False, 7)
    write = work(subject, *frames, notices=(lost,))
    told = messages([*subject.loose().verdicts, *(write.inspections if write else ())])
    spans = [(m["since"], m["until"]) for m in told if m["kind"] == "uninspected"]
    assert spans == [(rfc3339(NOW + 0.9), None), (rfc3339(NOW + 0.9), rfc3339(NOW + 4.0))]
