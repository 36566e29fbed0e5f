"""Cameras on a real RTSP server, through everything that goes wrong with one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.demo.rtsp_server import RtspServer
from pipeline.ingest.camera import CameraState
from stages.values import Clock, PixelFormat
from tests.services.ingest import rig
from tests.services.ingest.rig import HEIGHT, WIDTH, add_camera, number, watching
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

PASSWORD = "p@ss/w:rd%1"


@pytest.fixture(params=["auto", pytest.param("ffmpeg", marks=pytest.mark.slow)], autouse=True)
def reader(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Each test with either reader; `auto` must not have had to ask FFmpeg."""
    monkeypatch.setattr(rig, "reader", request.param)
    caplog.set_level(logging.INFO, "pipeline.ingest.rtsp.choice")
    yield
    assert "FFmpeg reads it" not in caplog.text


@pytest.fixture
def server() -> Iterator[RtspServer]:
    server = RtspServer()
    add_camera(server, "cam")
    with server:
        yield server


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_numbered_pictures_come_in_order_without_loss(server: RtspServer, transport: str) -> None:
    with watching(server.url("cam"), transport=transport) as watched:
        frames = watched.frames(45)
        status = watched.camera.status()
    numbers = [number(frame) for frame in frames]
    first = numbers[0]
    assert first is not None
    assert numbers == list(range(first, first + 45))
    assert [frame.seq for frame in frames] == list(range(45))
    assert (status.state, status.size_wh, status.dropped) == (CameraState.RUNNING, (WIDTH, HEIGHT), {})
    assert frames[0].image.format is PixelFormat.YUV420P


def test_a_consumer_that_is_slow_sees_fresh_frames_and_how_many_it_missed(server: RtspServer) -> None:
    with watching(server.url("cam"), buffer_frames=2) as watched:
        first = watched.frame()
        ages_s = []
        for _ in range(3):
            time.sleep(1.0)
            held = watched.frame(), watched.frame()
            for frame in held:
                missed = frame.seq - first.seq - 1
                assert sum(frame.dropped.values()) == missed
                assert (number(frame) or 0) - (number(first) or 0) - 1 == missed
                first = frame
            ages_s.append(time.time() - held[1].captured_at)
    assert min(ages_s) < 0.8  # each would be nearly a second at least if the oldest were kept


def test_sender_reports_date_the_pictures(server: RtspServer) -> None:
    with watching(server.url("cam")) as watched:
        while (frame := watched.frame()).clock is not Clock.RTCP:
            assert frame.clock is Clock.ARRIVAL
        frames = [frame, *watched.frames(30)]
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))
    last = frames[-1]
    assert last.captured_at == pytest.approx(server.captured_at("cam", number(last) or 0), abs=0.02)


def test_a_camera_clock_that_is_far_off_is_not_believed_and_said_once(
    server: RtspServer, caplog: pytest.LogCaptureFixture, stopwatch: Stopwatch
) -> None:
    server.skew_clock("cam", 3600.0)
    with caplog.at_level(logging.WARNING), watching(server.url("cam")) as watched:
        frames = watched.frames(60)
    assert {frame.clock for frame in frames} == {Clock.ARRIVAL}
    assert abs(frames[-1].captured_at - frames[-1].received_at) < 1.0 + stopwatch.stood_still_s
    assert sum("clock differs" in record.getMessage() for record in caplog.records) == 1


def test_a_target_rate_is_held_and_skipped_pictures_are_no_loss(server: RtspServer) -> None:
    with watching(server.url("cam"), fps=10) as watched:
        frames = watched.frames(11)
    numbers = [number(frame) or 0 for frame in frames]
    assert numbers[-1] - numbers[0] == pytest.approx(30, abs=3)
    assert [frame.seq for frame in frames] == list(range(11))
    assert not any(frame.dropped for frame in frames)


@pytest.mark.parametrize("fault", ["kill", "kick", "freeze"])
def test_a_camera_that_went_comes_back_in_a_later_epoch(server: RtspServer, fault: str) -> None:
    with watching(server.url("cam"), read_timeout_s=3.0) as watched:
        before = watched.frames(3)[-1]
        if fault == "kill":
            server.kill()
        else:
            getattr(server, fault)("cam")
        why = watched.until(CameraState.RECONNECTING)
        if fault == "kill":
            server.revive()
        elif fault == "freeze":
            server.thaw("cam")
        after = watched.frame_of_epoch_after(before.position.major)
        watched.until(CameraState.RUNNING)
    assert after.seq == 0
    assert (number(after) or 0) > (number(before) or 0)
    assert why
    assert watched.camera.status().reconnects >= 1


def test_a_frozen_camera_does_not_delay_another(server: RtspServer) -> None:
    add_camera(server, "other")
    waits = {"read_timeout_s": 15, "stall_timeout_s": 30}  # so long its read lasts: FFmpeg cannot be called off
    with watching(server.url("cam"), **waits) as frozen, watching(server.url("other")) as other:
        frozen.frames(3)
        other.frames(3)
        server.freeze("cam")
        while frozen.handoff.try_take() is not None or other.handoff.try_take() is not None:
            pass
        frames = other.frames(30)
        assert frozen.states[-1][0] is CameraState.RUNNING, "it sits in the read it was in when it was frozen"
    assert [frame.seq for frame in frames] == list(range(frames[0].seq, frames[0].seq + 30))


def test_a_picture_size_that_changes_while_running_comes_through(server: RtspServer) -> None:
    with watching(server.url("cam")) as watched:
        watched.frames(5)
        server.change_size("cam", 192, 112)
        sizes = {(frame.image.width, frame.image.height) for frame in watched.frames(60)}
    assert (192, 112) in sizes
    assert watched.camera.status().size_wh == (192, 112)


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_a_wrong_password_is_said_and_never_shown(auth: str, caplog: pytest.LogCaptureFixture) -> None:
    server = RtspServer(user="viewer", password=PASSWORD, auth=auth)  # type: ignore[arg-type]
    add_camera(server, "cam")
    with server, caplog.at_level(logging.DEBUG):
        wrong = f"{PASSWORD}x"
        host, port = server.address
        with watching(f"rtsp://viewer:{wrong.replace('%', '%25').replace('/', '%2F')}@{host}:{port}/cam") as watched:
            why = watched.until(CameraState.RECONNECTING)
            status = watched.camera.status()
        assert "refused the login" in why
        assert "401" in why
        shown = caplog.text + repr(watched.states) + repr(status) + repr(watched.camera._settings)
        for secret in (PASSWORD, wrong, "p@ss", "p%40ss", "w:rd"):
            assert secret not in shown


def test_a_login_from_secret_files_opens_the_camera(tmp_path: Path) -> None:
    server = RtspServer(user="viewer", password=PASSWORD)
    add_camera(server, "cam")
    user, password = tmp_path / "user", tmp_path / "password"
    user.write_text("viewer\n")
    password.write_text("not yet\n")
    with server, watching(
        server.url("cam", with_credentials=False), username_file=user, password_file=password, max_backoff_s=0.1
    ) as watched:  # fmt: skip
        assert "refused the login" in watched.until(CameraState.RECONNECTING)
        password.write_text(f"{PASSWORD}\n")
        assert watched.frame().seq == 0


def test_a_path_that_is_not_there_is_said_and_asked_for_again(server: RtspServer) -> None:
    server.refuse("cam", 404)
    with watching(server.url("cam")) as watched:
        assert "refused: Server returned 404" in watched.until(CameraState.RECONNECTING)
        server.refuse("cam", None)
        assert watched.frame().seq == 0


def test_a_server_that_accepts_and_never_answers_is_said_to_be_silent(server: RtspServer) -> None:
    server.mute()
    with watching(server.url("cam"), open_timeout_s=2.0) as watched:
        assert "did not answer within 2 s" in watched.until(CameraState.RECONNECTING)
        server.mute(False)
        assert watched.frame().seq == 0


def test_stop_during_a_hung_open_returns_within_its_time(server: RtspServer, stopwatch: Stopwatch) -> None:
    server.mute()
    with watching(server.url("cam"), open_timeout_s=60) as watched:
        time.sleep(0.2)
        stopwatch.restart()
        watched.camera.stop(0.2)
        assert stopwatch.seconds < 2.0  # the open hangs for 60
        assert watched.camera.status().state is CameraState.ENDED


def test_a_paused_camera_hangs_up_and_resumes_fresh(server: RtspServer) -> None:
    with watching(server.url("cam")) as watched:
        before = watched.frames(3)[-1]
        watched.camera.pause()
        deadline = time.monotonic() + 60
        while server.stats("cam").clients and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.stats("cam").clients == 0
        watched.camera.resume()
        assert watched.frame_of_epoch_after(before.position.major).seq == 0
