"""Which reader a camera gets, and when the other one takes over."""

from __future__ import annotations

import logging
from contextlib import closing

import pytest

from pipeline.ingest.av_source import AvSource
from pipeline.ingest.camera import SourceMaker
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.rtsp.choice import AutoSource, Choice
from pipeline.ingest.rtsp.errors import SourceDoubtful, SourceUnsupported
from pipeline.ingest.rtsp.source import RtspSource
from pipeline.ingest.source import BadFrame, Source, SourceFrame, SourceLost
from tests.fakes import ScriptedSource, source_frame

SETTINGS = CameraSettings.model_validate({"camera_id": "cam", "url": "rtsp://u:s3cret@cam/1"})
UNSUPPORTED, DOUBTFUL = SourceUnsupported("cam sends video JPEG"), SourceDoubtful("cam cannot be reached: closed")


@pytest.mark.parametrize(
    ("url", "others", "kind"),
    [
        ("rtsp://cam/1", {}, AutoSource),
        ("RTSP://cam/1", {}, AutoSource),
        ("rtsp://cam/1", {"rtsp_reader": "direct"}, RtspSource),
        ("rtsp://cam/1", {"rtsp_reader": "ffmpeg"}, AvSource),
        ("rtsp://cam/1", {"transport": "udp"}, AvSource),
        ("rtsp://cam/1", {"hwaccel": "auto"}, AvSource),
        ("rtsp://cam/1", {"options": {"stimeout": "1"}}, AvSource),
        ("rtsp://cam/1", {"live": False}, AvSource),
        ("rtsps://cam/1", {}, AvSource),
        ("http://cam/1.m3u8", {}, AvSource),
    ],
)
def test_the_direct_reader_is_asked_where_it_fits(url: str, others: dict[str, object], kind: type) -> None:
    assert isinstance(SourceMaker()(CameraSettings.model_validate({"url": url} | others)), kind)


@pytest.mark.parametrize("others", [{"transport": "udp"}, {"url": "rtsps://cam/1"}, {"hwaccel": "cuda"}])
def test_direct_where_it_cannot_be_is_refused(others: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="`rtsp_reader: direct` is for live rtsp://"):
        CameraSettings.model_validate({"url": "rtsp://cam/1", "rtsp_reader": "direct"} | others)


def run(choice: Choice, direct: ScriptedSource, ffmpeg: ScriptedSource, count: int = 2) -> list[int]:
    """The places of the first pictures of one run."""
    with closing(auto(choice, direct, ffmpeg)) as source:
        source.open()
        found: list[int] = []
        for item in source.frames():
            found += [item.minor] if isinstance(item, SourceFrame) else []
            if len(found) == count:
                break
    return found


def auto(choice: Choice, direct: Source, ffmpeg: Source) -> AutoSource:
    return AutoSource(SETTINGS, choice, lambda: direct, lambda: ffmpeg)


def live(*script: SourceFrame | BadFrame | Exception, on_open: Exception | None = None) -> ScriptedSource:
    return ScriptedSource(script, live=True, on_open=on_open)


def test_a_camera_that_neither_reaches_is_asked_directly_again() -> None:
    choice = Choice()
    with pytest.raises(SourceLost):
        run(choice, live(on_open=DOUBTFUL), live(on_open=SourceLost("cam cannot be reached: refused")))
    assert run(choice, live(source_frame(0), source_frame(1)), ffmpegs()) == [0, 1]


def test_a_camera_whose_stream_only_ffmpeg_reads_stays_with_it_though_it_is_away() -> None:
    choice = Choice()
    with pytest.raises(SourceLost):
        run(choice, live(on_open=UNSUPPORTED), live(on_open=SourceLost("cam cannot be reached: refused")))
    assert run(choice, live(source_frame(0)), ffmpegs()) == [100, 101]


def ffmpegs() -> ScriptedSource:
    return live(source_frame(100), source_frame(101))


@pytest.mark.parametrize("why", [UNSUPPORTED, DOUBTFUL])
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_what_direct_cannot_read_ffmpeg_reads_in_the_same_run_and_ever_after(
    why: Exception, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    choice = Choice()
    direct = live(on_open=why) if when == "opening" else live(BadFrame("decode_error"), why)
    assert run(choice, direct, ffmpegs()) == [100, 101]
    assert direct.closed
    assert run(choice, live(source_frame(0)), ffmpegs()) == [100, 101]
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"camera cam: FFmpeg reads it ({why})"]


def test_a_camera_it_has_shown_is_not_given_away_for_a_doubt() -> None:
    choice = Choice()
    assert run(choice, live(source_frame(0), source_frame(1)), ffmpegs()) == [0, 1]
    with pytest.raises(SourceLost, match="cannot be reached"):
        run(choice, live(on_open=DOUBTFUL), ffmpegs())
    assert run(choice, live(source_frame(0), source_frame(1)), ffmpegs()) == [0, 1]


def test_one_that_sends_something_else_in_the_middle_is_read_by_ffmpeg_from_its_next_connection() -> None:
    choice = Choice()
    with pytest.raises(SourceLost, match="JPEG"):
        run(choice, live(source_frame(0), UNSUPPORTED), ffmpegs())
    assert run(choice, live(source_frame(0)), ffmpegs()) == [100, 101]


def test_whoever_is_cancelled_asks_no_other_reader() -> None:
    def cancelled() -> None:
        source.cancel()
        raise UNSUPPORTED

    ffmpeg = ffmpegs()
    source = auto(Choice(), ScriptedSource([cancelled], live=True), ffmpeg)
    source.open()
    assert list(source.frames()) == []
    source = auto(Choice(), ScriptedSource([], live=True, on_open=cancelled), ffmpeg)
    with pytest.raises(SourceLost):
        source.open()
    assert not ffmpeg.opened


def test_a_cancel_reaches_the_reader_that_took_over() -> None:
    ffmpeg = ffmpegs()
    source = auto(Choice(), live(UNSUPPORTED), ffmpeg)
    source.open()
    frames = source.frames()
    next(frames)
    source.cancel()
    assert list(frames) == []
    assert ffmpeg.cancelled.is_set()
