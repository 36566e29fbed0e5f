"""Our server with other people's clients, and other people's server with our client."""

import subprocess
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.demo.rtsp_server import RtspServer
from tests.gst_rtsp import GstRtspServer, gst_play
from tests.numbered import read_number
from tests.services.rtsp.client import numbered, open_camera, soon

pytestmark = pytest.mark.services

FPS = 15


@pytest.mark.parametrize(("codec", "transport"), [("h264", "tcp"), ("h264", "udp"), ("hevc", "tcp"), ("mjpeg", "tcp")])
def test_the_ffmpeg_command_line_reads_our_server(codec: str, transport: str) -> None:
    with RtspServer(user="eve", password="x y") as server:
        server.add_stream("cam", soon(fps=FPS, codec=codec), numbered())
        quick = ["-analyzeduration", "300000", "-probesize", "32768"]
        command = ["ffmpeg", "-v", "error", *quick, "-rtsp_transport", transport, "-i", server.url("cam")]
        command += ["-frames:v", "10", "-f", "framecrc", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert sum(not line.startswith("#") for line in done.stdout.splitlines()) == 10


@pytest.mark.parametrize(
    ("codec", "depay", "protocols"),
    [
        ("h264", "rtph264depay ! h264parse ! avdec_h264", "tcp"),
        ("h264", "rtph264depay ! h264parse ! avdec_h264", "udp"),
        ("mjpeg", "rtpjpegdepay ! jpegdec", "tcp"),
    ],
)
def test_gstreamer_reads_our_server(codec: str, depay: str, protocols: str, tmp_path: Path) -> None:
    with RtspServer(user="eve", password="x", auth="basic") as server:
        server.add_stream("cam", soon(fps=FPS, codec=codec), numbered(), realtime=False)
        raw = tmp_path / "frames.raw"
        source = f"rtspsrc location={server.url('cam')} protocols={protocols} latency=50"
        convert = "videoconvert ! video/x-raw,format=GRAY8"
        gst_play(f"{source} ! {depay} ! {convert} ! identity eos-after=11 ! filesink location={raw}")
    pictures = np.fromfile(raw, np.uint8).reshape(-1, 360, 640)
    seen = [read_number(picture) for picture in pictures]
    assert seen == list(range(seen[0] or 0, (seen[0] or 0) + 10))


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_a_foreign_server_lets_in_the_right_password_only(auth: str) -> None:
    with GstRtspServer(fps=FPS, user="eve", password="x y", auth=auth) as server:
        wrong = server.url(with_credentials=False).replace("rtsp://", "rtsp://eve:wrong@")
        with pytest.raises(av.error.HTTPUnauthorizedError), open_camera(wrong):
            pass
        with open_camera(server.url()) as camera:
            assert len([next(camera.decode(video=0)) for _ in range(3)]) == 3


def test_a_foreign_server_changes_size_freezes_and_kicks() -> None:
    with GstRtspServer(fps=FPS) as server:
        with open_camera(server.url(), read_timeout_s=3.0) as camera:
            assert next(camera.decode(video=0)).width == 640
            server.change_size(320, 240)
            assert any(frame.width == 320 for frame, _ in zip(camera.decode(video=0), range(20 * FPS), strict=False))
            server.freeze()
            with pytest.raises(av.error.ExitError):
                _read_to_the_end(camera)
            server.thaw()
        with open_camera(server.url()) as camera:
            kick = threading.Timer(0.2, server.kick)
            kick.start()
            _read_to_the_end(camera)
            kick.join()


def _read_to_the_end(camera: av.container.InputContainer) -> None:
    """Read packets until there are no more, or longer than any test lasts."""
    for count, _ in enumerate(camera.demux(video=0)):
        assert count < 100 * FPS
