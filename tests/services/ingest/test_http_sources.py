"""What a web server hands out, whole or in pieces; RTMP; encrypted RTSP."""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import av
import pytest

from pipeline.demo.rtsp_server import RtspServer
from pipeline.ingest.camera import CameraSettings, CameraState, make_source
from pipeline.ingest.source import After, SourceFrame, SourceLost, SourceRefused
from stages.values import EndOfStream
from tests.fakes import WholeFrame, whole
from tests.numbered import numbered_picture, read_number
from tests.services.ingest.rig import HEIGHT, PATIENCE_S, WIDTH, add_camera, number, watching
from tests.stopwatch import Stopwatch
from tests.web_server import served

pytestmark = pytest.mark.services

LENGTH = 30
LIVE_FPS = 25
PIECE_S = 2


def record(path: Path, kind: str | None = None, length: int = LENGTH, **options: str) -> None:
    with av.open(str(path), "w", format=kind, options=options) as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(length):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_picture(n, WIDTH, HEIGHT), "rgb24")))
        container.mux(stream.encode(None))


@contextmanager
def broadcast(folder: Path) -> Iterator[None]:
    """Writes live.m3u8 as a camera's encoder would: a piece every PIECE_S, the newest four kept."""
    done = threading.Event()
    options = {
        "hls_time": str(PIECE_S), "hls_list_size": "4", "hls_flags": "delete_segments",
        "hls_segment_filename": str(folder / "live%d.ts"),
    }  # fmt: skip

    def encode() -> None:
        started = time.monotonic()
        with av.open(str(folder / "live.m3u8"), "w", format="hls", options=options) as container:
            gop = {"g": str(LIVE_FPS * PIECE_S), "preset": "ultrafast", "tune": "zerolatency"}
            stream = container.add_stream("libx264", rate=LIVE_FPS, options=gop)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for n in itertools.count():
                if done.wait(max(0.0, started + n / LIVE_FPS - time.monotonic())):
                    break
                container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_picture(n, WIDTH, HEIGHT), "rgb24")))

    thread = threading.Thread(target=encode)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with clip.mp4 and, in pieces, hls.m3u8."""
    folder = tmp_path_factory.mktemp("site")
    record(folder / "clip.mp4")
    record(
        folder / "hls.m3u8", "hls",
        hls_time="0.3", hls_playlist_type="vod", hls_segment_filename=str(folder / "part%d.ts"),
    )  # fmt: skip
    with served(folder) as url:
        yield url


def read(url: str, after: After | None = None) -> list[WholeFrame]:
    with closing(make_source(CameraSettings.model_validate({"camera_id": "cam", "url": url}))) as source:
        source.open()
        return [whole(item) for item in source.frames(after) if isinstance(item, SourceFrame)]


def numbers(frames: list[WholeFrame]) -> list[int | None]:
    return [read_number(frame.image.data[:HEIGHT]) for frame in frames]


def test_a_file_on_a_web_server_is_read_whole_and_can_be_gone_on_with(site: str) -> None:
    assert numbers(read(f"{site}/clip.mp4")) == list(range(LENGTH))
    assert numbers(read(f"{site}/clip.mp4", after=After(0, 17))) == list(range(18, LENGTH))


def test_a_recording_in_pieces_comes_at_its_own_pace_and_ends(site: str, stopwatch: Stopwatch) -> None:
    with watching(f"{site}/hls.m3u8") as watched:
        frames = watched.frames(LENGTH)
        assert isinstance(watched.handoff.take(PATIENCE_S), EndOfStream)
        watched.until(CameraState.ENDED)
    assert [number(frame) for frame in frames] == list(range(LENGTH))
    whole_s = (LENGTH - 1) / 30
    assert -0.4 < frames[-1].captured_at - frames[0].captured_at - whole_s < 0.4 + stopwatch.stood_still_s


def test_a_live_stream_in_pieces_comes_smoothly_and_whole(tmp_path: Path, stopwatch: Stopwatch) -> None:
    with broadcast(tmp_path), served(tmp_path) as url:
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "live1.ts").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        quick = {"read_timeout_s": 1.0, "stall_timeout_s": 1.0, "keyframes_only_behind_s": PIECE_S}
        with watching(f"{url}/live.m3u8", buffer_frames=2, **quick) as watched:
            frames = watched.frames(1)
            stopwatch.restart()
            while frames[-1].captured_at - frames[0].captured_at < 10.0:
                frames.append(watched.frame())
            status = watched.camera.status()
    numbers = [number(frame) or 0 for frame in frames]
    assert numbers == sorted(set(numbers))
    unseen = stopwatch.stood_still_s * LIVE_FPS
    assert len(frames) >= 0.8 * (numbers[-1] - numbers[0] + 1) - unseen
    assert len(frames) >= 0.8 * 10 * LIVE_FPS - unseen
    assert "behind" not in status.dropped
    assert (status.reconnects, status.state) == (0, CameraState.RUNNING)


def test_what_is_not_there_is_refused_without_showing_the_password(site: str) -> None:
    for name in ("nothing.mp4", "nothing.m3u8"):
        with pytest.raises(SourceRefused, match="404") as caught:
            read(f"{site}/{name}")
        assert "hunter2" not in str(caught.value)
        assert caught.value.__context__ is None, "FFmpeg's own error holds the whole address"


@pytest.mark.parametrize(
    "url", ["rtmp://u:hunter2@127.0.0.1:1/a", "rtsps://u:hunter2@127.0.0.1:1/a", "v4l2:/dev/video99"]
)
def test_what_cannot_be_reached_is_lost_in_words_that_name_it(url: str) -> None:
    with pytest.raises(SourceLost, match="cannot be reached") as caught:
        read(url)
    assert "hunter2" not in str(caught.value)
    assert url.partition("u:hunter2")[0] in str(caught.value)


def test_pictures_come_in_order_over_rtmp(tmp_path: Path) -> None:
    record(tmp_path / "clip.mp4", length=300)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"rtmp://127.0.0.1:{free.getsockname()[1]}/live/cam"
    command = ["ffmpeg", "-v", "quiet", "-re", "-i", str(tmp_path / "clip.mp4"), "-c", "copy", "-f", "flv"]
    with subprocess.Popen([*command, "-listen", "1", url], stdin=subprocess.DEVNULL) as publisher:
        try:
            with watching(url) as watched:
                frames = watched.frames(45)
                assert watched.camera.status().dropped == {}
        finally:
            publisher.kill()
    assert [number(frame) for frame in frames] == list(range(45))
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))


def test_pictures_come_over_encrypted_rtsp(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=60
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = RtspServer(user="viewer", password="hunter2", tls=tls)
    add_camera(server, "cam")
    with server:
        with watching(server.url("cam")) as watched:
            assert None not in [number(frame) for frame in watched.frames(3)]
        with watching(server.url("cam"), tls_verify=True) as watched:
            watched.until(CameraState.RECONNECTING)
            assert watched.camera.status().frames_in == 0
