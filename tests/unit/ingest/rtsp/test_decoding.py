"""What is shown of a stream with holes in it: whole pictures only."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache

import av
import pytest

from pipeline.demo.encoder import StreamSettings, VideoEncoder
from pipeline.demo.rtp import Stamper, sender_report
from pipeline.ingest.rtsp.depacketizer import Hole
from pipeline.ingest.rtsp.nal import Nal, nal_of
from pipeline.ingest.rtsp.receiver import Coded, Receiver
from pipeline.ingest.rtsp.sdp import Track
from pipeline.ingest.rtsp.source import _Decoding
from pipeline.ingest.sampling import KeyframesOnly
from pipeline.ingest.source import BadFrame
from pipeline.ingest.video_codec import VideoCodec
from tests.fakes import ManualClock
from tests.numbered import numbered_picture, read_number

FPS, PICTURES = 25, 100


def track(codec: str) -> Track:
    known = VideoCodec.H264 if codec == "h264" else VideoCodec.H265
    return Track(known, 96, 90_000, "rtsp://cam/1/track1", "rtsp://cam/1", ())


@cache
def packets(codec: str) -> tuple[tuple[bytes, ...], ...]:
    """The packets of each picture; every tenth is a keyframe."""
    stamper = Stamper(7, 65500, 2**32 - 90_000)
    settings = StreamSettings(fps=FPS, width=320, height=192, codec=codec)
    with VideoEncoder(settings) as encoder:
        coded = [encoder.encode(numbered_picture(n, 320, 192), keyframe=n % 10 == 0).packets for n in range(PICTURES)]
    return tuple(
        tuple(stamper.stamp(packet, stamper.rtp_time(n / FPS)) for packet in one) for n, one in enumerate(coded)
    )


class Viewer:
    """Receives packets and notes which numbers it saw, and what was not to be had."""

    def __init__(self, codec: str, limit_s: float | None = None) -> None:
        self.receiver = Receiver(track(codec))
        self.clock = ManualClock(100.0)
        self.decoding = _Decoding(track(codec), 1, KeyframesOnly(limit_s), self.clock)
        self.seen: list[int | None] = []
        self.bad: list[str] = []
        self.coded: list[Coded] = []

    def take(self, packet: bytes) -> None:
        for coded in self.receiver.rtp(memoryview(packet)):
            if isinstance(coded, Coded):
                self.coded.append(coded)
            for item in self.decoding.take(coded):
                if isinstance(item, BadFrame):
                    self.bad.append(item.reason)
                else:
                    self.seen.append(read_number(item.reformat(format="gray").to_ndarray()))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_every_picture_of_a_whole_stream_is_seen(codec: str) -> None:
    viewer = Viewer(codec)
    for packet in (packet for picture in packets(codec) for packet in picture):
        viewer.take(packet)
    assert viewer.seen == list(range(PICTURES))
    assert viewer.bad == []


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("seed", range(3))
def test_no_torn_picture_is_seen_whatever_is_lost(codec: str, seed: int) -> None:
    chance = random.Random(seed)
    viewer, whole, good = Viewer(codec), set(), False
    for n, picture in enumerate(packets(codec)):
        kept = [packet for packet in picture if chance.random() > 0.05]
        good = len(kept) == len(picture) and (good or n % 10 == 0)
        whole |= {n} if good else set()
        for packet in kept:
            viewer.take(packet)
    assert None not in viewer.seen
    assert set(viewer.seen) == whole
    assert viewer.seen == sorted(whole)
    assert set(viewer.bad) == {"decode_error"}


def test_a_stream_joined_in_the_middle_is_seen_from_its_next_keyframe() -> None:
    viewer = Viewer("h264")
    for packet in (packet for picture in packets("h264")[13:] for packet in picture):
        viewer.take(packet)
    assert viewer.seen == list(range(20, PICTURES))


def test_far_behind_only_keyframes_are_decoded_until_it_has_caught_up() -> None:
    viewer = Viewer("h264", limit_s=1.0)
    for n, picture in enumerate(packets("h264")[:50]):
        viewer.clock.advance({12: 2.0, 34: -2.0}.get(n, 0.0) + 1 / FPS)
        for packet in picture:
            viewer.take(packet)
    assert viewer.seen == [*range(12), 20, 30, *range(40, 50)]
    assert viewer.bad == ["behind"] * 26


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_pictures_that_lean_on_later_ones_are_shown_in_their_order_and_begin_whole(codec: str) -> None:
    viewer = Viewer("h264" if codec == "libx264" else "hevc")
    units = _reordered(codec)
    shown = []
    for data, ticks, entry in units[3:]:  # what came before the next keyframe is missing
        for item in viewer.decoding.take(Coded(data, ticks, ticks / 90_000, None, entry, entry)):
            if not isinstance(item, BadFrame):
                shown.append(read_number(item.reformat(format="gray").to_ndarray()))
    first = next(ticks for _, ticks, entry in units[3:] if entry) // 3600
    assert shown == list(range(first, first + len(shown)))
    assert len(shown) > 10


def test_a_stream_without_keyframes_is_seen_again_once_it_has_refreshed_itself() -> None:
    viewer, shown = Viewer("h264"), []
    units = _encoded("libx264", tune="zerolatency", x264="repeat-headers=1:intra-refresh=1:keyint=10:scenecut=0")
    for n, (data, ticks, _) in enumerate(units):
        nals = [nal_of(VideoCodec.H264, unit) for unit in data.split(b"\0\0\1")[1:]]
        entry = any(Nal.ENTRY in nal for nal in nals)
        coded = Hole() if n == 13 else Coded(data, ticks, ticks / 90_000, None, entry, entry)
        for item in viewer.decoding.take(coded):
            if not isinstance(item, BadFrame):
                shown.append(read_number(item.reformat(format="gray").to_ndarray()))
    assert shown[:13] == list(range(13))
    assert shown[13:] == list(range(40 - len(shown[13:]), 40))
    assert len(shown) > 20


def _reordered(codec: str) -> list[tuple[bytes, int, bool]]:
    """Coded pictures with B-frames and open groups in the order they are sent: bytes, ticks, keyframe."""
    params = "repeat-headers=1:keyint=8:min-keyint=8:bframes=2:open-gop=1:scenecut=0"
    return _encoded(codec, x264=params, x265=f"{params}:log-level=none:pools=none")


def _encoded(codec: str, tune: str = "", x264: str = "", x265: str = "") -> list[tuple[bytes, int, bool]]:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 320, 192, "yuv420p"
    context.framerate, context.time_base = FPS, Fraction(1, FPS)
    context.options = {"preset": "ultrafast", **({"tune": tune} if tune else {})}
    context.options |= {"x264-params": x264} if codec == "libx264" else {"x265-params": x265}
    packets = []
    for n in range(40):
        frame = av.VideoFrame.from_ndarray(numbered_picture(n, 320, 192), "rgb24").reformat(format="yuv420p")
        frame.pts = n
        packets += context.encode(frame)
    packets += context.encode(None)
    return [(bytes(packet), (packet.pts or 0) * 3600, packet.is_keyframe) for packet in packets]


def test_a_senders_clock_dates_its_pictures_through_the_wrapping_of_its_times() -> None:
    viewer = Viewer("h264")
    started_at = 1_700_000_000.0
    for n, picture in enumerate(packets("h264")):
        if n % 10 == 0:
            (rtp_time,) = {int.from_bytes(packet[4:8], "big") for packet in picture}
            viewer.receiver.rtcp(sender_report(7, started_at + n / FPS, rtp_time, 1, 1), 0.0)
        for packet in picture:
            viewer.take(packet)
    told = [coded.camera_wall_s for coded in viewer.coded]
    assert told == pytest.approx([started_at + n / FPS for n in range(PICTURES)], abs=1e-4)
    assert [coded.ticks for coded in viewer.coded] == [n * 3600 for n in range(PICTURES)]


def test_another_sender_in_its_place_is_another_stream() -> None:
    viewer = Viewer("h264")
    for picture in packets("h264")[:15]:
        for packet in picture:
            viewer.take(packet)
    for picture in packets("h264")[15:]:
        for packet in picture:
            viewer.take(packet[:8] + bytes(4) + packet[12:])
    assert viewer.seen == [*range(15), *range(20, PICTURES)]
