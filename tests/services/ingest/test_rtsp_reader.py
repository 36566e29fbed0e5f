"""What the direct RTSP reader does on the wire, beside FFmpeg, and against servers that mean no good."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice

import pytest

from pipeline.demo.rtsp_server import RtspServer, StreamSettings
from pipeline.ingest.camera import CameraSettings, CameraState, SourceMaker, make_source
from pipeline.ingest.source import Source, SourceError, SourceFrame, SourceInvalid, SourceLost, SourceRefused
from stages.values import Clock
from tests.fakes import whole
from tests.gst_rtsp import GstRtspServer
from tests.numbered import numbered_picture, read_number
from tests.services.ingest.rig import watching
from tests.services.ingest.scripted_rtsp import SDP, ScriptedServer, ok, usual
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

READERS = pytest.mark.parametrize("reader", ["direct", pytest.param("ffmpeg", marks=pytest.mark.slow)])


def settings(url: str, reader: str = "direct", **others: object) -> CameraSettings:
    quick = {"camera_id": "cam", "open_timeout_s": 20.0, "read_timeout_s": 20.0, "stall_timeout_s": 30.0}
    return CameraSettings.model_validate(quick | {"url": url, "rtsp_reader": reader} | others)


def refusal(url: str, **others: object) -> SourceError:
    """What opening and reading it ends in."""
    with pytest.raises(SourceError) as caught:
        read(make_source(settings(url, **others)))
    return caught.value


def read(source: Source) -> None:
    """All it gives, until it ends."""
    with closing(source):
        source.open()
        for _ in source.frames():
            pass


def lateness(source: Source, server: RtspServer, count: int) -> list[float]:
    """Seconds from each picture's moment to when it is given out, behind the first few."""
    found = []
    with closing(source):
        source.open()
        for item in islice(source.frames(), 5, 5 + count):
            assert isinstance(item, SourceFrame)
            image = whole(item).image
            number = read_number(image.data[: image.height])
            found.append(time.time() - server.captured_at("cam", number or 0))
            if item.clock is Clock.RTCP:
                assert item.captured_at == pytest.approx(server.captured_at("cam", number or 0), abs=1e-3)
    return found


@pytest.mark.parametrize(
    ("reader", "holds_back"),
    [("direct", False), pytest.param("ffmpeg", True, marks=pytest.mark.slow)],
)
def test_a_picture_is_given_out_before_the_next_one_begins(reader: str, holds_back: bool) -> None:
    interval_s = 0.2
    with RtspServer() as server:
        server.add_stream("cam", StreamSettings(fps=5, width=160, height=96), lambda n: numbered_picture(n, 160, 96))
        late = lateness(make_source(settings(server.url("cam"), reader, open_timeout_s=20)), server, 9)
    # The least: a machine that stands still for a while makes pictures late, and none early.
    assert (min(late) > 0.75 * interval_s) is holds_back


# Somebody else's server


@READERS
@pytest.mark.parametrize(
    ("codec", "auth"), [("h264", None), ("h264", "basic"), ("h264", "digest"), pytest.param("hevc", None)]
)
def test_a_foreign_server_is_read(codec: str, auth: str | None, reader: str, stopwatch: Stopwatch) -> None:
    login = {} if auth is None else {"user": "eve", "password": "x y/z", "auth": auth}
    with GstRtspServer(codec=codec, **login) as server:  # type: ignore[arg-type]
        with watching(server.url(), rtsp_reader=reader) as watched:
            frames = watched.frames(15)
            while auth is None and frames[-1].clock is not Clock.RTCP and len(frames) < 120:  # its first report
                frames.append(watched.frame())
            assert watched.camera.status().dropped == {}
        if auth is not None:
            wrong = server.url(with_credentials=False).replace("rtsp://", "rtsp://eve:wrong@")
            assert "refused the login (Server returned 401" in str(refusal(wrong, reader=reader))
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert auth is not None or frames[-1].clock is Clock.RTCP
    assert abs(frames[-1].captured_at - frames[-1].received_at) < 1 + stopwatch.stood_still_s


@READERS
def test_a_foreign_server_changes_size_freezes_and_kicks(reader: str) -> None:
    with GstRtspServer() as server, watching(server.url(), rtsp_reader=reader, read_timeout_s=3.0) as watched:
        first = watched.frame()
        assert first.image.width == 640
        server.change_size(320, 240)
        assert any(watched.frame().image.width == 320 for _ in range(300))
        server.freeze()
        assert "sent nothing for 3 s" in watched.until(CameraState.RECONNECTING)
        server.thaw()
        again = watched.frame_of_epoch_after(first.position.major)
        server.kick()
        watched.frame_of_epoch_after(again.position.major)


# What it says to a camera


def test_it_logs_in_and_takes_leave_and_asks_for_what_was_described() -> None:
    def answer(method: str, request: str) -> bytes | None:
        if "Authorization: Digest" not in request:
            return ok(request, 'WWW-Authenticate: Digest realm="r", nonce="n"', status="401 Unauthorized")
        if method == "DESCRIBE":
            described = usual(method, request) or b""
            return described.replace(b"Content-Type", b"Content-Base: rtsp://nat/cam/\r\nContent-Type")
        return usual(method, request)

    with ScriptedServer(answer) as server:
        with closing(make_source(settings(f"rtsp://eve:s3cret@{server.place}/cam?x=1"))) as source:
            source.open()
        _until(lambda: "TEARDOWN" in server.methods)
        asked = server.asked
    assert server.methods == ["OPTIONS", "OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
    assert asked[2].startswith(f"DESCRIBE rtsp://{server.place}/cam?x=1 RTSP/1.0\r\n")
    assert asked[3].startswith("SETUP rtsp://nat/cam/track1 RTSP/1.0\r\n")
    assert asked[4].startswith("PLAY rtsp://nat/cam/ RTSP/1.0\r\n")
    assert "Session: abc\r\n" in asked[4]
    assert "s3cret" not in "".join(asked)


def test_a_session_is_kept_alive_and_told_what_came() -> None:
    noise = b"$\x05\0\1x" + b"$\0\0\1x"  # another channel, and no RTP

    def answer(method: str, request: str) -> bytes | None:
        answered = usual(method, request) or b""
        return noise + answered + b"OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n" if method == "PLAY" else answered

    with (
        ScriptedServer(answer) as server,
        closing(make_source(settings(f"rtsp://{server.place}/cam", read_timeout_s=30))) as source,
    ):
        source.open()
        reading = threading.Thread(target=list, args=(source.frames(),))
        reading.start()
        _until(lambda: "GET_PARAMETER" in server.methods and bool(server.packets))
        source.cancel()
        reading.join(30)
    assert server.packets[0][:2] == b"$\x01"
    assert server.packets[0][4:6] == bytes([0x80, 201])
    assert any(request.startswith("RTSP/1.0 501") and "CSeq: 77" in request for request in server.asked)


def test_it_is_sent_on_once_and_takes_the_login_to_no_other_host() -> None:
    with ScriptedServer() as there:

        def answer(method: str, request: str) -> bytes | None:
            if "Authorization" not in request:
                return ok(request, 'WWW-Authenticate: Basic realm="r"', status="401 Unauthorized")
            if method == "DESCRIBE":
                elsewhere = f"rtsp://localhost:{there.place.partition(':')[2]}/other"
                return ok(request, f"Location: {elsewhere}", status="302 Found")
            return usual(method, request)

        with (
            ScriptedServer(answer) as here,
            closing(make_source(settings(f"rtsp://eve:s3cret@{here.place}/cam"))) as source,
        ):
            source.open()
    assert there.methods[:3] == ["DESCRIBE", "SETUP", "PLAY"]
    assert "Authorization" not in "".join(there.asked)
    assert base64.b64encode(b"eve:s3cret").decode() in here.asked[-1]


# Ends of waits


@pytest.mark.parametrize("when", ["opening", "reading"])
def test_cancel_ends_a_wait_at_once(when: str, stopwatch: Stopwatch) -> None:
    answer = usual if when == "reading" else lambda method, request: b""
    with ScriptedServer(answer) as server:
        source = make_source(settings(f"rtsp://{server.place}/cam", open_timeout_s=60, read_timeout_s=60))
        with closing(source):

            def cancel() -> None:
                stopwatch.restart()
                source.cancel()

            threading.Timer(0.3, cancel).start()
            if when == "opening":
                with pytest.raises(SourceLost):
                    source.open()
            else:
                source.open()
                assert list(source.frames()) == []
            assert stopwatch.seconds < 0.2


HOSTILE: dict[str, Callable[[str, str], bytes | None]] = {
    "a head without end": lambda method, request: b"RTSP/1.0 200 OK\r\n" + b"x" * 30_000,
    "a body without end": lambda method, request: b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\n",
    "another protocol": lambda method, request: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "bytes": lambda method, request: b"\xff\x00" * 1000,
    "packets and no answer": lambda method, request: b"$\0\xff\xff" + bytes(65535),
    "a drip": lambda method, request: b"R",
    "hanging up": lambda method, request: usual(method, request) if method == "OPTIONS" else None,
    "a session that breaks lines": lambda method, request: ok(request, "Session: a\x0bb", body="m=video 0 RTP/AVP 96"),
    "nothing after PLAY": usual,
    "bytes after PLAY": lambda method, request: (usual(method, request) or b"") + b"\xff" * 99 * (method == "PLAY"),
    "channels there are not": lambda method, request: ok(
        request, "Transport: RTP/AVP/TCP;interleaved=300-999", "Session: a", body=SDP
    ),
    "empty packets": lambda method, request: b"$\0\0\0" * 50_000,
    "a redirect to a name that is none": lambda method, request: ok(
        request, f"Location: rtsp://{'a' * 70}.com/", status="302 Found"
    ),
    "a redirect to no port": lambda method, request: ok(request, "Location: rtsp://a:99999/", status="302 Found"),
    "a redirect to no address": lambda method, request: ok(request, "Location: rtsp://[", status="302 Found"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_server_ends_in_a_word_of_ours_and_in_time(kind: str, stopwatch: Stopwatch) -> None:
    with ScriptedServer(HOSTILE[kind]) as server:
        stopwatch.restart()
        error = refusal(f"rtsp://eve:s3cret@{server.place}/cam", open_timeout_s=1, read_timeout_s=1)
        assert stopwatch.seconds < 3
    assert "s3cret" not in str(error)
    assert server.place in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("401 no s3cret", SourceRefused, "refused the login (Server returned 401 Unauthorized); check"),
        ("404 x", SourceRefused, "refused: Server returned 404 Not Found"),
        ("453 x", SourceRefused, "refused: Server returned 453 Not Enough Bandwidth"),
        ("999 x", SourceRefused, "refused: Server returned 999"),
    ],
)
def test_a_refusal_is_told_in_our_words(status: str, kind: type[SourceError], said: str) -> None:
    with ScriptedServer(lambda method, request: ok(request, status=status)) as server:
        error = refusal(f"rtsp://eve:s3cret@{server.place}/cam")
    assert type(error) is kind
    assert said in str(error)
    assert "s3cret" not in str(error)


# auto


def test_what_it_does_not_know_ffmpeg_reads_at_once_and_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with RtspServer() as server:
        picture = StreamSettings(fps=30, width=160, height=96, codec="mjpeg")
        server.add_stream("cam", picture, lambda n: numbered_picture(n, 160, 96))
        assert "sends video JPEG" in str(refusal(server.url("cam")))
        make = SourceMaker()
        for _ in range(3):
            with closing(make(settings(server.url("cam"), "auto"))) as source:
                source.open()
                assert isinstance(next(iter(source.frames())), SourceFrame)
    told = [record.getMessage() for record in caplog.records if "FFmpeg reads it" in record.getMessage()]
    assert len(told) == 1
    assert "sends video JPEG" in told[0]


def test_a_server_that_hangs_up_on_it_is_left_to_ffmpeg() -> None:
    def answer(method: str, request: str) -> bytes | None:
        return usual(method, request) if "Lavf" in request or method == "OPTIONS" else None

    with ScriptedServer(answer) as server:
        make = SourceMaker()
        for _ in range(2):
            with pytest.raises(SourceLost):
                read(make(settings(f"rtsp://{server.place}/cam", "auto", open_timeout_s=3, read_timeout_s=1)))
    assert sum("Rayline" in request for request in server.asked if request.startswith("DESCRIBE")) == 1
    assert "Lavf" in server.asked[-1]


def test_direct_says_what_it_cannot_read() -> None:
    with ScriptedServer(lambda m, r: ok(r, body="v=0\r\nm=audio 0 RTP/AVP 8\r\n")) as server:
        error = refusal(f"rtsp://{server.place}/cam")
    assert isinstance(error, SourceInvalid)
    assert "holds no video" in str(error)


def _until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
