"""What a client sees of a stream: every frame, in order, with the time it was captured."""

from itertools import pairwise

import pytest

from pipeline.demo.loop import Loop
from pipeline.demo.rtsp_server import RtspServer
from tests.services.rtsp.client import BareClient, numbered, numbers, open_camera, soon, take
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

FPS = 15


def test_no_frame_is_lost_in_three_seconds() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS), numbered(), realtime=False)  # a busy machine is late, and skips none
        with open_camera(server.url("cam")) as camera:
            seen = numbers(take(camera, 3 * FPS))
    assert seen == list(range(seen[0], seen[0] + 3 * FPS))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_numbers_rise_and_capture_times_are_the_frames_own(codec: str, transport: str) -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=30, codec=codec), numbered())
        with open_camera(server.url("cam"), transport) as camera:
            seen = take(camera, 12)
            due = [server.captured_at("cam", n) for n in numbers(seen)]
    assert numbers(seen) == sorted(set(numbers(seen)))
    told = [frame.captured_at for frame in seen]
    assert None not in told, "the sender's report comes before the first frame"
    assert told == pytest.approx(due, abs=0.002)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_loop_is_seen_whole_again_and_again_at_the_times_of_its_frames(transport: str) -> None:
    settings = soon(fps=30)
    with RtspServer() as server:
        server.add_loop("cam", Loop(settings, [numbered()(n) for n in range(12)]))
        server.add_alias("other", "cam")
        with open_camera(server.url("other"), transport) as camera:
            seen = take(camera, 40)
            first = server.first_frame_wall("cam")
    assert {(after - before) % 12 for before, after in pairwise(numbers(seen))} == {1}
    told = [frame.captured_at for frame in seen if frame.captured_at is not None]
    periods = [(at - first) * 30 for at in told]
    assert periods == pytest.approx([round(n) for n in periods], abs=0.06)
    assert [round(n) % 12 for n in periods] == numbers(seen)


def test_frame_n_shows_n_periods_after_the_first() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=25), numbered())
        first = server.first_frame_wall("cam")
        assert server.captured_at("cam", 100) == pytest.approx(first + 4.0, abs=1e-6)


def test_a_changed_rate_keeps_the_clock() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=10), numbered())
        with open_camera(server.url("cam")) as camera:
            take(camera, 5)
            server.set_fps("cam", 30)
            seen = take(camera, 40)[-15:]
            due = [server.captured_at("cam", n) for n in numbers(seen)]
    assert [frame.captured_at for frame in seen] == pytest.approx(due, abs=0.002)
    assert due[-1] - due[0] == pytest.approx((seen[-1].number - seen[0].number) / 30, abs=1e-6)


def test_a_skewed_clock_shows_in_the_reports() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS), numbered())
        server.skew_clock("cam", 3600.0)
        with open_camera(server.url("cam")) as camera:
            last = take(camera, 3)[-1]
        assert last.captured_at == pytest.approx(server.captured_at("cam", last.number) + 3600, abs=0.002)


def test_without_reports_frames_carry_no_capture_time() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS), numbered())
        server.send_reports("cam", False)
        with open_camera(server.url("cam")) as camera:
            assert {frame.captured_at for frame in take(camera, 5)} == {None}


def test_a_newcomer_gets_a_report_then_a_keyframe_with_its_parameter_sets() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS, keyframe_s=60), numbered())
        with BareClient(server.url("cam")) as first_viewer, BareClient(server.url("cam")) as newcomer:
            first_viewer.play()
            for _ in range(20):
                first_viewer.packet()
            newcomer.play()
            (rtcp_channel, report), (rtp_channel, packet) = newcomer.packet(), newcomer.packet()
    assert (rtcp_channel, report[1], len(report)) == (1, 200, 28)
    assert (rtp_channel, packet[1] & 0x7F) == (0, 96)
    nal_type, first_inside = packet[12] & 0x1F, packet[15] & 0x1F
    assert (nal_type, first_inside) == (24, 7), "an aggregate that begins with the sequence parameter set"


def test_reports_come_again_every_two_seconds(stopwatch: Stopwatch) -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS), numbered())
        with BareClient(server.url("cam")) as client:
            client.play()
            reports: list[bytes] = []
            stamps: list[int] = []
            while len(reports) < 2:
                channel, packet = client.packet()
                if channel == 1:
                    reports.append(packet)
                else:
                    stamps.append(int.from_bytes(packet[4:8], "big"))
    ntp = [int.from_bytes(report[8:16], "big") / 2**32 for report in reports]
    rtp = [int.from_bytes(report[16:20], "big") for report in reports]
    assert 1.8 < ntp[1] - ntp[0] < 2.2 + stopwatch.stood_still_s
    assert (rtp[1] - rtp[0]) % 2**32 / 90_000 == pytest.approx(ntp[1] - ntp[0], abs=0.001)
    assert rtp[0] == stamps[0]


def test_a_picture_of_another_size_is_scaled() -> None:
    with RtspServer() as server:
        server.add_stream("cam", soon(fps=FPS, width=320, height=240), numbered(1280, 720))
        with open_camera(server.url("cam")) as camera:
            seen = take(camera, 3)
    assert {frame.size for frame in seen} == {(320, 240)}
    assert numbers(seen)
