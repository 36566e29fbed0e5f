"""Many viewers, one encoder: who shares what, who waits for nobody, and that nothing is left behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from pipeline.demo.rtsp_server import RtspServer
from tests.services.rtsp.client import BareClient, frames, numbered, numbers, open_camera, soon, take
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

FPS = 15


def test_two_cameras_serve_three_clients_each_its_own_numbers() -> None:
    with RtspServer() as server:
        server.add_stream("a", soon(fps=FPS), numbered(), realtime=False)
        server.add_stream("b", soon(fps=FPS, codec="mjpeg"), lambda n: numbered()(n + 100_000), realtime=False)

        def read(path: str, transport: str) -> list[int]:
            with open_camera(server.url(path), transport) as camera:
                return numbers(take(camera, 20))

        with ThreadPoolExecutor(3) as pool:
            jobs = [pool.submit(read, *who) for who in (("a", "tcp"), ("a", "udp"), ("b", "tcp"))]
            first, second, third = (job.result(30) for job in jobs)
    for seen in (first, second, third):
        assert seen == list(range(seen[0], seen[0] + 20))
    assert max(first + second) < 100_000 <= min(third)


def test_an_alias_shares_the_encoder() -> None:
    rendered: list[int] = []
    with RtspServer() as server:
        server.add_stream("a", soon(fps=FPS), numbered(), on_frame=lambda n, _: rendered.append(n))
        server.add_alias("b", "a")
        with open_camera(server.url("a")) as one, open_camera(server.url("b")) as two:
            assert numbers(take(one, 10))
            assert numbers(take(two, 10))
        assert server.stats("a").frames_encoded == server.stats("b").frames_encoded
    assert len(rendered) == len(set(rendered)), "each frame was rendered once"


def test_nothing_is_rendered_while_nobody_watches() -> None:
    called = threading.Event()

    def picture_at(number: int) -> npt.NDArray[np.uint8]:
        called.set()
        return numbered()(number)

    def is_quiet() -> bool:
        called.clear()
        return not called.wait(0.3)

    with RtspServer() as server:
        server.add_stream("cam", soon(fps=60), picture_at)
        assert not called.wait(0.3)
        with open_camera(server.url("cam")) as camera:
            first = numbers(take(camera, 1))[0]
        assert first >= 18, "the camera's clock ran on"
        _wait_until(lambda: server.stats("cam").clients == 0)
        _wait_until(is_quiet)


def test_a_viewer_that_reads_nothing_holds_up_nobody_and_resumes_at_a_keyframe() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (240, 640, 3), np.uint8)

    def busy(number: int) -> npt.NDArray[np.uint8]:
        picture = numbered(320, 240)(number).copy()
        picture[::2] = picture[::2] // 2 + noise[: picture[::2].shape[0], number % 320 : number % 320 + 320] // 8
        return picture

    with RtspServer() as server:
        settings = soon(fps=30, width=320, height=240, bitrate=12_000_000)
        server.add_stream("cam", settings, busy, realtime=False)
        with BareClient(server.url("cam"), receive_buffer_bytes=4096) as slow, open_camera(server.url("cam")) as quick:
            slow.play()
            before: list[int] = []
            for frame in frames(quick):
                before += [frame.number] if frame.number is not None else []
                if server.stats("cam").frames_dropped > 5 or len(before) > 400:
                    break
            assert server.stats("cam").frames_dropped > 5, "the slow viewer lost frames"
            assert before == sorted(set(before))
            assert len(before) > 0.5 * (before[-1] - before[0]), "the quick one sees most: this machine drops some"
            assert _first_after_the_hole(slow) == 7, "it goes on with a parameter set, so with a keyframe"


def _first_after_the_hole(client: BareClient) -> int:
    """Type of the first NAL unit after packets went missing."""
    channel, packet = client.packet()
    while channel == 1:
        channel, packet = client.packet()
    expected = int.from_bytes(packet[2:4], "big")
    while True:
        channel, packet = client.packet()
        if channel == 1:
            continue
        expected = (expected + 1) & 0xFFFF
        if int.from_bytes(packet[2:4], "big") != expected:
            kind = packet[12] & 0x1F
            return packet[15] & 0x1F if kind == 24 else kind


def test_pause_stops_the_packets_and_play_brings_them_back() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS), numbered())
        with BareClient(server.url("cam")) as client:
            client.play()
            client.packet()
            assert client.ask("PAUSE").status == 200
            assert server.stats("cam").clients == 0
            assert client.ask("PLAY").status == 200
            client.packet()
            assert client.ask("TEARDOWN").status == 200
            with pytest.raises(EOFError):
                client.packet()


def test_stop_leaves_no_thread_and_no_socket(stopwatch: Stopwatch) -> None:
    process = psutil.Process()
    threads, files = set(threading.enumerate()), process.num_fds()
    server = RtspServer()
    server.add_stream("cam", soon(fps=FPS), numbered())
    server.add_stream("idle", soon(fps=FPS), numbered())
    server.start()
    with open_camera(server.url("cam")) as one, open_camera(server.url("cam"), "udp") as two:
        take(one, 2)
        take(two, 2)
        stopwatch.restart()
        server.stop()
        assert stopwatch.seconds < 2.0
    assert set(threading.enumerate()) == threads
    assert process.num_fds() <= files


def test_a_stopped_server_starts_again_on_its_port() -> None:
    server = RtspServer()
    server.add_stream("cam", soon(fps=FPS), numbered())
    with server:
        address = server.address
    with server, open_camera(server.url("cam")) as camera:
        assert server.address == address
        assert numbers(take(camera, 2))


def test_a_port_that_is_taken_is_said() -> None:
    with RtspServer() as first:
        second = RtspServer(port=first.address[1])
        with pytest.raises(OSError, match="in use"):
            second.start()


def _wait_until(condition: object, timeout_s: float = 30.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
