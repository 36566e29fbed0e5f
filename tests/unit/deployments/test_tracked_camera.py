"""One camera in a track replica: what it writes, what it trusts, and what it leaves to whoever goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from pipeline.answers import Gap, Outcome
from pipeline.deployments.camera_road import Seen
from pipeline.deployments.job import CameraJob
from pipeline.deployments.tracked_camera import TrackedCamera
from pipeline.sinks.redis_streams import CameraWrite, Stored, WriteOutcome, WriteStatus
from pipeline.sinks.snapshots import Snapshots, SnapshotSettings
from stages.errors import StageError
from stages.health.camera_health import HealthSettings
from stages.inspection.settings import InspectionSettings
from stages.track.tracker import TrackSettings
from stages.track.zones import ZonesSettings
from stages.values import (
    CameraId,
    CameraNotice,
    Clock,
    Detections,
    EndOfStream,
    Frame,
    FrameFailed,
    LineId,
    ModelInfo,
    Picture,
    PictureStats,
    PixelFormat,
    Position,
)

CAM = CameraId("cam-1")
NO_MODEL = ModelInfo("", "", "", ())
MODEL = ModelInfo("m", "1", "ab", ("bottle", "cap"))
NOW = 1_800_000_000.0
FILE = "file:0123456789abcdef"


def camera(stored: Stored | None = None, snapshots: Snapshots | None = None) -> TrackedCamera:
    inspection = InspectionSettings.model_validate(
        {"part_label": "bottle", "trigger": [[0.5, 0], [0.5, 1]], "required": [{"label": "cap"}]}
    )
    job = CameraJob(
        camera_id=CAM,
        line=LineId("line-1"),
        station="s",
        model="m",
        recipe="r",
        config_hash="h",
        source_kind="rtsp",
        track=TrackSettings(classes=("bottle",)),
        zones=ZonesSettings(),
        health=HealthSettings(),
        inspection=inspection,
    )
    return TrackedCamera(job, stored or Stored(), snapshots)


def seen(seq: int, source: str = "live", x: float = 100.0, epoch: int = 7) -> Seen:
    rng = np.random.default_rng(seq)
    picture = Picture(rng.integers(0, 255, (200, 400), np.uint8), PixelFormat.GRAY8, 400, 200)
    position = Position(source, epoch, seq)
    frame = Frame(CAM, seq, NOW + seq / 10, Clock.ARRIVAL, position, picture)
    boxes = np.array([[x, 50, x + 40, 150], [x + 10, 52, x + 30, 66]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.9], np.float32), np.array([0, 1], np.int32))
    stats = PictureStats(120.0, 50.0, 500.0, rng.bytes(192))
    return Seen(frame, found, stats, {"detect": 1.0})


def work(subject: TrackedCamera, *frames: Seen, notices: tuple[CameraNotice, ...] = ()) -> CameraWrite | None:
    return subject.work(list(frames), list(notices), None, MODEL, NOW)


def written(write: CameraWrite | None) -> WriteOutcome:
    assert write is not None
    return WriteOutcome(WriteStatus.WRITTEN, write.new)


def messages(raw: Any) -> list[dict[str, Any]]:
    return [orjson.loads(one) for one in raw]


def test_a_write_is_built_on_the_cursor_of_the_one_before() -> None:
    subject = camera()
    first = work(subject, seen(0), seen(1))
    assert first is not None
    assert first.prev is None
    answer = subject.settle(written(first), NOW)
    assert (answer.outcome, answer.published) == (Outcome.PUBLISHED, 2)
    second = work(subject, seen(2))
    assert second is not None
    assert second.prev == first.new == seen(1).frame.position.encode()


def test_whoever_takes_over_by_another_job_goes_on_from_what_is_stored_and_from_nothing_else() -> None:
    subject = camera()
    write = work(subject, seen(0), seen(1))
    subject.pass_on()
    assert subject.leave(NOW).checkpoint is None
    subject.settle(written(write), NOW)
    subject.pass_on()
    passed_on = subject.leave(NOW).checkpoint
    assert passed_on is not None
    assert passed_on[0] == seen(1).frame.position.encode()


def test_a_replayable_write_that_did_not_land_is_given_again_unchanged() -> None:
    subject = camera()
    first = work(subject, seen(0, FILE))
    assert subject.settle(None, NOW).outcome is Outcome.UNAVAILABLE
    assert work(subject, seen(0, FILE)) is first


def test_what_comes_is_built_on_a_write_that_lies_on_disk() -> None:
    subject = camera()
    write = work(subject, seen(0), seen(1))
    assert write is not None
    answer = subject.spooled(NOW)
    assert (answer.outcome, answer.published, answer.latencies_s) == (Outcome.SPOOLED, 0, ())
    subject.tell_lost({"spool_full": 5})
    after = work(subject, seen(2))
    assert after is not None
    assert after.prev == write.new
    assert [m["dropped_since_last"] for m in messages(after.detections)] == [{"spool_full": 5}]
    assert messages(after.events) == []


def test_a_write_can_be_given_a_checkpoint_to_go_on_from() -> None:
    subject = camera()
    work(subject, seen(0))
    subject.spooled(NOW)
    write = work(subject, seen(1))
    assert write is not None
    assert write.checkpoint is None  # there was one less than a second ago
    marked = subject.with_checkpoint(write)
    assert marked.checkpoint is not None
    assert replace(marked, checkpoint=None) == write
    after = work(camera(Stored(marked.new, marked.checkpoint)), seen(2))
    assert after is not None
    assert messages(after.detections)[0]["objects"][0]["id"] == messages(write.detections)[0]["objects"][0]["id"]


def test_a_pending_write_is_never_given_for_other_frames() -> None:
    subject = camera()
    work(subject, seen(0, FILE))
    subject.settle(None, NOW)
    with pytest.raises(StageError, match="cam-1"):
        work(subject, seen(1, FILE))


def test_what_could_not_be_written_is_left_to_the_successor() -> None:
    before = camera()
    notice = CameraNotice(CAM, 1, NOW, "reconnecting", "stream ended", seeing=False, epoch=7)
    work(before, notices=(notice,))
    after = camera()
    after.inherit(before.leave(NOW))
    assert after.loose() == before.loose()
    assert len(after.loose()) == 1


@pytest.mark.parametrize(
    ("status", "stored", "trusted"),
    [
        pytest.param(WriteStatus.CONFLICT, "live|9|9", False, id="somebody else wrote"),
        pytest.param(WriteStatus.ALREADY, None, True, id="our own earlier attempt landed"),
        pytest.param(WriteStatus.ALREADY, "live|0000000000000007|000000000099", False, id="an attempt went further"),
    ],
)
def test_the_tracker_is_trusted_only_while_its_cursor_is_the_stored_one(
    status: WriteStatus, stored: str | None, trusted: bool
) -> None:
    subject = camera()
    write = work(subject, seen(0))
    assert write is not None
    subject.settle(WriteOutcome(status, stored or write.new), NOW)
    assert subject.trusted is trusted


def test_a_published_answer_tells_each_verdict_once_and_what_the_camera_sees() -> None:
    subject = camera()
    told = []
    for n in range(20):
        write = work(subject, seen(n, x=20.0 + 12 * n))
        away = n == 15  # the verdict of such a frame is told with the next answer that is published
        told.append(subject.settle(None if away else written(write), NOW))
    assert sum(sum(answer.verdicts.values()) for answer in told) == 1
    assert {answer.health for answer in told if answer.outcome is Outcome.PUBLISHED} == {"ok"}
    assert not any(answer.failed for answer in told)


def test_frames_that_failed_are_told() -> None:
    subject = camera()
    one = seen(0)
    write = work(subject, Seen(one.frame, FrameFailed("out of memory"), one.stats, {}), seen(1))
    answer = subject.settle(written(write), NOW)
    assert (answer.published, answer.failed) == (2, 1)


def test_a_notice_is_told_once_though_it_is_sent_again() -> None:
    subject = camera()
    notice = CameraNotice(CAM, 1, NOW, "reconnecting", "stream ended", seeing=False, epoch=7)
    assert work(subject, notices=(notice,)) is None
    assert [e["data"]["state"] for e in messages(subject.loose().events)] == ["reconnecting"]
    subject.loose_written()
    work(subject, notices=(notice,))
    assert not subject.loose()


def ended_with_a_part_on_its_way(subject: TrackedCamera, source: str, *, epoch: int = 7) -> Stored:
    """It came nearly to the trigger, then the camera went blind, then the stream was over; returns what is stored."""
    stored = Stored()
    for n in range(12):
        write = work(subject, seen(n, source, x=20.0 + 12 * n, epoch=epoch))
        assert write is not None
        subject.settle(written(write), NOW)
        stored = Stored(write.new, write.checkpoint or stored.checkpoint)
    blind = CameraNotice(CAM, 1, NOW + 5, "reconnecting", "stream ended", seeing=False, epoch=epoch)
    over = EndOfStream(CAM, 11, "over")
    assert subject.work([], [blind], over, MODEL, NOW + 6) is None
    return stored


def judged_in_the_next_run(subject: TrackedCamera, source: str) -> list[dict[str, Any]]:
    """The verdicts of ten seconds later, when the next bottle comes."""
    judged = []
    for n in range(20):
        write = work(subject, seen(100 + n, source, x=20.0 + 12 * n))
        assert write is not None
        judged += inspections(write.inspections)
        subject.settle(written(write), NOW)
    assert judged
    return judged


def inspections(raw: Any) -> list[dict[str, Any]]:
    return [m for m in messages(raw) if m["kind"] == "inspection"]


def test_a_part_judged_at_the_end_says_that_there_was_no_picture_to_show(tmp_path: Path) -> None:
    subject = camera(snapshots=Snapshots(SnapshotSettings(uri=str(tmp_path))))
    ended_with_a_part_on_its_way(subject, "live")
    (part,) = inspections(subject.loose().verdicts)
    assert part["verdict"] == "indeterminate"
    assert (part["snapshot"], part["snapshot_error"]) == (None, "no picture: the stream had ended")


def test_where_no_snapshots_are_taken_none_is_missed() -> None:
    subject = camera()
    ended_with_a_part_on_its_way(subject, "live")
    (part,) = inspections(subject.loose().verdicts)
    assert (part["snapshot"], part["snapshot_error"]) == (None, None)


def test_a_part_judged_at_the_end_is_not_judged_again_by_the_next_run() -> None:
    subject = camera()
    stored = ended_with_a_part_on_its_way(subject, "live")
    untold = subject.loose()
    assert len(inspections(untold.verdicts)) == 1
    assert untold.checkpoint is not None
    cursor, checkpoint = untold.checkpoint
    assert cursor == stored.cursor
    subject.loose_written()
    assert not subject.loose()
    before, after = inspections(untold.verdicts), judged_in_the_next_run(camera(Stored(cursor, checkpoint)), "live")
    assert {part["inspection_id"] for part in before} & {part["inspection_id"] for part in after} == set()


def test_a_part_judged_at_the_end_in_a_write_is_in_its_checkpoint() -> None:
    subject = camera()
    for n in range(11):
        subject.settle(written(work(subject, seen(n, x=20.0 + 12 * n))), NOW)
    blind = CameraNotice(CAM, 1, NOW + 5, "reconnecting", "stream ended", seeing=False, epoch=7)
    write = subject.work([seen(11, x=152.0)], [blind], EndOfStream(CAM, 11, "over"), MODEL, NOW + 5)
    assert write is not None
    assert write.checkpoint is not None  # though one was stored less than a second ago
    assert subject.loose().checkpoint is None
    assert len(inspections(subject.loose().verdicts)) == 1


def test_what_an_unwritten_end_made_of_the_chain_goes_to_the_successor() -> None:
    before = camera()
    stored = ended_with_a_part_on_its_way(before, "live")
    after = camera(stored)
    after.inherit(before.leave(NOW))
    told = inspections(after.loose().verdicts)
    assert len(told) == 1
    again = judged_in_the_next_run(after, "live")
    assert {part["inspection_id"] for part in told} & {part["inspection_id"] for part in again} == set()
    assert after.loose().checkpoint is None


@pytest.mark.parametrize("counts", [True, False])
def test_a_verdict_tells_whether_the_lines_parts_are_counted_here(counts: bool) -> None:
    subject = camera()
    subject = TrackedCamera(replace(subject.job, counts=counts), Stored(), None)
    writes = [work(subject, *(seen(n, x=20.0 + 12 * n) for n in range(20)))]
    told = [part for write in writes if write is not None for part in inspections(write.inspections)]
    assert [part["counts"] for part in told] == [counts]


def test_a_blindness_that_was_told_is_known_to_whoever_goes_on() -> None:
    """Told without a frame; a replica that takes over must close that very interval."""
    before = camera()
    stored = Stored()
    for n in range(10):
        write = work(before, seen(n))
        assert write is not None
        before.settle(written(write), NOW)
        stored = Stored(write.new, write.checkpoint or stored.checkpoint)
    lost = CameraNotice(CAM, 1, NOW + 2.0, "reconnecting", "the stream ended", False, 7)
    assert work(before, notices=(lost,)) is None
    untold = before.loose()
    (opened,) = [m for m in messages(untold.verdicts) if m["kind"] == "uninspected"]
    assert untold.checkpoint is not None
    after = camera(Stored(*untold.checkpoint))
    write = work(after, seen(40))
    assert write is not None
    (closed,) = [m for m in messages(write.inspections) if m["kind"] == "uninspected"]
    assert (closed["interval_id"], closed["since"]) == (opened["interval_id"], opened["since"])
    assert closed["until"] is not None


def following(n: int, x: float = 100.0) -> Seen:
    one = seen(n, FILE, x)
    return replace(one, frame=replace(one.frame, follows=seen(n - 1, FILE).frame.position if n else None))


@pytest.mark.parametrize(
    ("stored", "behind"),
    [
        pytest.param(3, False, id="the last frame before the gap is stored"),
        pytest.param(2, True, id="Redis lost frames before the gap"),
        pytest.param(None, True, id="Redis lost everything"),
    ],
)
def test_an_excuse_covers_the_frames_that_were_lost_and_none_before_them(stored: int | None, behind: bool) -> None:
    cursor = None if stored is None else seen(stored, FILE).frame.position.encode()
    gap = Gap(seen(3, FILE).frame.position, seen(5, FILE).frame.position)
    assert camera(Stored(cursor)).is_behind([following(6)], None, gap) is behind


def test_frames_that_come_again_are_noticed_where_they_can_be_read_again() -> None:
    subject = camera()
    subject.settle(written(work(subject, following(0), following(1))), NOW)
    assert subject.repeats([following(1), following(2)])
    assert not subject.repeats([following(2)])
    live = camera()
    live.settle(written(work(live, seen(0))), NOW)
    assert not live.repeats([seen(0)])


def lost_before_the_trigger() -> list[Seen]:
    """A part that came near the trigger and was not seen any more: its verdict comes with the end."""
    way = [following(n, x=20.0 + 12 * n) for n in range(16)]
    return [*way[:12], *(replace(one, found=Detections.empty()) for one in way[12:])]


@pytest.mark.parametrize("dies", [False, True])
def test_an_end_judges_the_parts_on_their_way_though_the_replica_died_before_it(dies: bool) -> None:
    subject, way = camera(), lost_before_the_trigger()
    write = None
    for one in way:
        write = work(subject, one)
        subject.settle(written(write), NOW)
        assert messages(write.inspections if write else []) == []
    if dies:
        assert write is not None
        subject = camera(Stored(write.new, write.checkpoint, write.new, way[-1].frame.captured_at))
    end = EndOfStream(CAM, 15, "over", way[-1].frame.position)
    assert not subject.is_behind([], end, None)
    assert subject.work([], [], end, NO_MODEL, NOW) is None
    (part,) = inspections(subject.loose().verdicts)
    assert (part["verdict"], part["reasons"]) == ("indeterminate", ["lost"])
    assert part["inspection_id"] == f"{CAM}/{FILE.partition(':')[2]}/{1}"
    assert part["size"] == {"width": 400, "height": 200}
    cursor, checkpoint = subject.loose().checkpoint or ("", b"")
    again = camera(Stored(cursor, checkpoint, cursor, way[-1].frame.captured_at))
    again.work([], [], end, NO_MODEL, NOW)
    assert inspections(again.loose().verdicts) == []


def test_what_an_end_judges_is_in_one_write_with_the_frames_it_comes_with() -> None:
    """The checkpoint written with them takes these parts for judged: a replica that dies next would not judge them."""
    subject, way = camera(), lost_before_the_trigger()
    for one in way[:-1]:
        subject.settle(written(work(subject, one)), NOW)
    write = subject.work([way[-1]], [], EndOfStream(CAM, 15, "over", way[-1].frame.position), MODEL, NOW)
    assert write is not None
    assert [part["reasons"] for part in inspections(write.inspections)] == [["lost"]]
    assert not subject.loose()
