"""Each way a camera goes wrong, as its client meets it."""

import socket
import threading
import time
from itertools import islice

import av
import numpy as np
import numpy.typing as npt
import pytest

from pipeline.demo.rtsp_server import RtspServer
from tests.services.rtsp.client import frames, numbered, numbers, open_camera, soon, take
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

FPS = 30
SOON = 20 * FPS  # pictures: more than a busy machine holds back, of a stream that would else go on for ever


@pytest.fixture
def server() -> RtspServer:
    server = RtspServer()
    server.add_stream("cam", soon(fps=FPS), numbered(), realtime=False)
    return server


def test_a_frozen_stream_times_out_and_a_thawed_one_goes_on(server: RtspServer) -> None:
    with server, open_camera(server.url("cam"), read_timeout_s=2.0) as camera:
        before = numbers(take(camera, 5))[-1]
        server.freeze("cam")
        with pytest.raises(av.error.ExitError):
            take(camera, 1000)
        assert server.stats("cam").clients == 1, "the connection stays"
        server.thaw("cam")
        with open_camera(server.url("cam")) as again:
            assert numbers(take(again, 3))[0] > before


def test_a_viewer_that_waits_out_a_freeze_sees_whole_pictures_again(server: RtspServer) -> None:
    with server, open_camera(server.url("cam")) as camera:
        before = numbers(take(camera, 5))[-1]
        server.freeze("cam")
        timer = threading.Timer(0.5, server.thaw, ["cam"])
        timer.start()
        after = numbers(take(camera, 20))
        timer.join()
    assert after == sorted(set(after))
    assert after[-1] - before >= 20 + 10, "the time frozen is missing"


def test_a_kicked_client_sees_the_stream_end(server: RtspServer, stopwatch: Stopwatch) -> None:
    with server, open_camera(server.url("cam")) as camera:
        take(camera, 3)
        kick = threading.Timer(0.2, server.kick, ["cam"])
        kick.start()
        assert sum(1 for _ in islice(frames(camera), SOON)) < 2 * FPS + FPS * stopwatch.stood_still_s
        kick.join()


def test_one_path_kicked_or_frozen_leaves_its_alias_alone(server: RtspServer) -> None:
    server.add_alias("other", "cam")
    with server, open_camera(server.url("other")) as other, open_camera(server.url("cam")) as camera:
        take(camera, 1)
        server.freeze("cam")
        server.kick("cam")
        seen = numbers(take(other, FPS))
    assert seen == list(range(seen[0], seen[0] + FPS))


def test_a_killed_server_refuses_until_revived(server: RtspServer, stopwatch: Stopwatch) -> None:
    with server:
        with open_camera(server.url("cam")) as camera:
            before = numbers(take(camera, 3))[-1]
            server.kill()
            assert sum(1 for _ in islice(frames(camera), SOON)) < FPS + FPS * stopwatch.stood_still_s
        with pytest.raises(ConnectionRefusedError), open_camera(server.url("cam")):
            pass
        server.revive()
        with open_camera(server.url("cam")) as camera:
            assert numbers(take(camera, 3))[0] > before


def test_a_refusal_is_the_status_told_until_it_is_taken_back(server: RtspServer) -> None:
    with server:
        for status, error in (
            (401, av.error.HTTPUnauthorizedError),
            (403, av.error.HTTPForbiddenError),
            (404, av.error.HTTPNotFoundError),
            (503, av.error.HTTPServerError),
        ):
            server.refuse("cam", status)
            with pytest.raises(error), open_camera(server.url("cam")):
                pass
        server.refuse("cam", None)
        with open_camera(server.url("cam")) as camera:
            assert numbers(take(camera, 1))


def test_a_path_that_is_not_there_is_not_found(server: RtspServer) -> None:
    with server, pytest.raises(av.error.HTTPNotFoundError), open_camera(server.url("nowhere")):
        pass


def test_a_mute_server_accepts_and_never_answers(server: RtspServer) -> None:
    with server:
        server.mute()
        began = time.monotonic()
        with (
            pytest.raises((av.error.InvalidDataError, av.error.ExitError)),
            av.open(server.url("cam"), options={"rtsp_transport": "tcp"}, timeout=(0.6, 0.6)),
        ):
            pass
        assert time.monotonic() - began > 0.5, "it was not refused"
        server.mute(False)
        with open_camera(server.url("cam")) as camera:
            assert numbers(take(camera, 1))


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_a_changed_size_reaches_clients_that_are_there(codec: str) -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS, codec=codec), numbered())
        with open_camera(server.url("cam")) as camera:
            assert take(camera, 3)[-1].size == (640, 360)
            server.change_size("cam", 320, 240)
            seen = []
            for frame in islice(frames(camera), SOON):
                seen.append(frame)
                if frame.size == (320, 240):
                    break
    assert seen[-1].size == (320, 240)
    rising = numbers(seen)
    assert rising == sorted(set(rising))


def test_a_picture_that_cannot_be_rendered_ends_the_stream_and_is_heard(stopwatch: Stopwatch) -> None:
    def picture_at(number: int) -> npt.NDArray[np.uint8]:
        if broken.is_set():
            raise ZeroDivisionError("no such picture")
        return numbered()(number)

    broken = threading.Event()
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS), picture_at)
        with open_camera(server.url("cam")) as camera:
            take(camera, 3)
            broken.set()
            assert sum(1 for _ in islice(frames(camera), SOON)) < 2 * FPS + FPS * stopwatch.stood_still_s
        assert isinstance(server.error("cam"), ZeroDivisionError)
        with pytest.raises(av.error.HTTPServerError), open_camera(server.url("cam")):
            pass


def test_broken_requests_close_only_their_own_connection(server: RtspServer) -> None:
    with server, open_camera(server.url("cam")) as camera:
        for garbage in (
            b"hello\r\n\r\n",
            b"x" * 40_000,
            b"GET / HTTP/1.1\r\n\r\n",
            b"PLAY * RTSP/1.0\r\nContent-Length: -5\r\n\r\n",
        ):
            with socket.create_connection(server.address, timeout=30) as stranger:
                stranger.sendall(garbage)
                assert _until_closed(stranger) == b""
        seen = numbers(take(camera, 10))
    assert seen == list(range(seen[0], seen[0] + 10))


def _until_closed(stranger: socket.socket) -> bytes:
    try:
        return stranger.recv(1)
    except ConnectionResetError:
        return b""
