"""The annotated video: every frame, playable whatever ends the process, and never in the way of results."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.sinks.annotated_video import KEYFRAME_EVERY, MOST_PARTS, AnnotatedVideo
from stages.values import CameraId, Clock, Frame, Picture, PixelFormat
from tests.unit.results.builders import CAPTURED_AT, POSITION, result


def add(video: AnnotatedVideo, number: int) -> None:
    image = Picture(np.full((240, 320, 3), 40, np.uint8), PixelFormat.RGB24, 320, 240)
    at = CAPTURED_AT + number / 10
    video.add(Frame(CameraId("cam-1"), number, at, Clock.RTCP, POSITION, image), result(seq=number, captured_at=at))


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_every_frame_is_in_it_once_it_is_closed(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "x.mp4")
    for number in range(35):
        add(video, number)
    video.close()
    video.close()
    assert frames_in(tmp_path / "x.mp4") == 35


def test_what_was_written_before_a_kill_can_be_played(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "x.mp4")
    for number in range(6 * KEYFRAME_EVERY):
        add(video, number)
    before_the_end = (tmp_path / "x.mp4").read_bytes()
    video.close()
    (tmp_path / "killed.mp4").write_bytes(before_the_end)
    assert frames_in(tmp_path / "killed.mp4") >= 3 * KEYFRAME_EVERY


def film(path: Path, frames: int) -> None:
    video = AnnotatedVideo(path)
    for number in range(frames):
        add(video, number)
    video.close()


def test_a_camera_taken_up_again_goes_on_in_a_file_beside_the_one_so_far(tmp_path: Path) -> None:
    for frames in (3, 4, 5):
        film(tmp_path / "x.mp4", frames)
    assert {path.name: frames_in(path) for path in tmp_path.iterdir()} == {"x.mp4": 3, "x-2.mp4": 4, "x-3.mp4": 5}


def test_a_file_of_an_earlier_run_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"of another process")
    film(tmp_path / "x.mp4", 2)
    assert frames_in(tmp_path / "x.mp4") == 2


def test_a_name_is_continued_only_so_often(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(MOST_PARTS + 1):
        film(tmp_path / "x.mp4", 1)
    assert len(list(tmp_path.iterdir())) == MOST_PARTS
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = AnnotatedVideo(tmp_path / "absent" / "x.mp4")
    for number in range(3):
        add(video, number)
    video.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "x.mp4 cannot be written" in caplog.text
