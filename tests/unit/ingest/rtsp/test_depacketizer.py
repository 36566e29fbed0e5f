"""Packets to pictures: every packing that is read, what markers are worth, and losses."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from pipeline.demo.encoder import StreamSettings, VideoEncoder
from pipeline.demo.rtp import Stamper
from pipeline.ingest.rtsp.depacketizer import AGREED, AccessUnit, Depacketizer, Hole, UnknownPacking
from pipeline.ingest.rtsp.rtp import RtpPacket, read_packet
from pipeline.ingest.video_codec import VideoCodec
from tests.numbered import numbered_picture

START = b"\0\0\0\1"
SPS, PPS, SEI = b"\x67\x42\0\x1e", b"\x68\xce\x38\x80", b"\x06\x05\x01\xaa\x80"
RECOVERY = b"\x06\x06\x01\xc4\x80"  # from here on pictures are whole
IDR, IDR_2 = b"\x65\x88keyframe", b"\x65\x40its second slice"
P, P_2 = b"\x41\x9apicture", b"\x41\x40its second slice"
FU = b"\x7c\x85\x88key", b"\x7c\x05fra", b"\x7c\x45me"
HEVC_AGGREGATE = b"\x60\1\0\3\x40\1v\0\6\x26\1\x80key"
HEVC_SETS, HEVC_IDR, HEVC_P = b"\x40\x01v", b"\x26\x01\x80key", b"\x02\x01\x80pic"


class Feed:
    """A sender: sequence numbers and times are its own to get wrong."""

    def __init__(self, codec: VideoCodec = VideoCodec.H264) -> None:
        self.depacketizer = Depacketizer(codec)
        self.sequence = 65530
        self.time = 2**32 - 6000

    def send(self, *payloads: bytes, markers: Iterable[int] = (-1,)) -> list[AccessUnit | Hole]:
        """One picture's packets; those at `markers` say that they are its last."""
        done: list[AccessUnit | Hole] = []
        marked = {n % len(payloads) for n in markers}
        for n, payload in enumerate(payloads):
            packet = RtpPacket(n in marked, 96, self.sequence, self.time, 1, memoryview(payload))
            done += self.depacketizer.push(packet)
            self.sequence = (self.sequence + 1) & 0xFFFF
        self.time = (self.time + 3000) & 0xFFFFFFFF
        return done

    def agree(self) -> None:
        """Pictures enough to have markers believed."""
        self.send(SPS, PPS, IDR)
        for _ in range(AGREED):
            self.send(P)


def joined(*units: bytes) -> bytes:
    return b"".join(START + unit for unit in units)


def data(done: list[AccessUnit | Hole]) -> list[bytes | Hole]:
    return [one.data if isinstance(one, AccessUnit) else one for one in done]


@pytest.mark.parametrize(
    ("payloads", "picture"),
    [
        pytest.param((P,), joined(P), id="a NAL unit"),
        pytest.param((SPS, PPS, SEI, IDR, IDR_2), joined(SPS, PPS, SEI, IDR, IDR_2), id="several"),
        pytest.param((b"\x78\0\4" + SPS + b"\0\4" + PPS, IDR), joined(SPS, PPS, IDR), id="an aggregate"),
        pytest.param((SPS, *FU), joined(SPS, b"\x65\x88keyframe"), id="a fragmented one"),
        pytest.param((*FU[:2], b"\x7c\x05me"), joined(b"\x65\x88keyframe"), id="whose end nobody tells"),
        pytest.param((*FU[:2], b"\x7c\x05me", IDR_2), joined(b"\x65\x88keyframe", IDR_2), id="or but what follows"),
        pytest.param((b"\x1f\0\0", P), joined(P), id="behind a reserved type"),
        pytest.param((b"\x78\0\0\0\4" + SPS, P), joined(SPS, P), id="an aggregate with nothing in it first"),
    ],
)
def test_h264_is_put_together_from_every_packing(payloads: tuple[bytes, ...], picture: bytes) -> None:
    feed = Feed()
    feed.agree()
    assert data(feed.send(*payloads)) == [picture]


@pytest.mark.parametrize(
    ("payloads", "picture"),
    [
        pytest.param((HEVC_P,), joined(HEVC_P), id="a NAL unit"),
        pytest.param((HEVC_AGGREGATE,), joined(HEVC_SETS, HEVC_IDR), id="an aggregate"),
        pytest.param((b"\x62\1\x93\x80ke", b"\x62\1\x13y", b"\x62\1\x53s"), joined(b"\x26\1\x80keys"), id="fragmented"),
    ],
)  # fmt: skip
def test_h265_is_too(payloads: tuple[bytes, ...], picture: bytes) -> None:
    feed = Feed(VideoCodec.H265)
    feed.send(HEVC_SETS, HEVC_IDR)
    for _ in range(AGREED):
        feed.send(HEVC_P)
    assert data(feed.send(*payloads)) == [picture]


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        (VideoCodec.H264, b"\x79\0\0\0\4" + SPS), (VideoCodec.H264, b"\x7a\0\0"), (VideoCodec.H264, b"\x7b\0\0"),
        (VideoCodec.H264, b"\x7d\x85\0\0"), (VideoCodec.H265, b"\x64\1\0\0"),
    ],
)  # fmt: skip
def test_a_packing_that_is_not_read_is_named(codec: VideoCodec, payload: bytes) -> None:
    with pytest.raises(UnknownPacking, match=r"STAP-B|MTAP|FU-B|PACI"):
        Feed(codec).send(payload)


def test_a_picture_is_there_with_its_marker_once_markers_have_told_the_truth() -> None:
    feed = Feed()
    assert data(feed.send(SPS, PPS, IDR)) == []
    assert data(feed.send(P)) == [joined(SPS, PPS, IDR)]
    assert data(feed.send(P)) == [joined(P)]
    assert data(feed.send(P)) == [joined(P), joined(P)]  # the third, and at once the fourth
    assert data(feed.send(P)) == [joined(P)]


def test_without_a_keyframe_among_them_they_are_not_believed() -> None:
    feed = Feed()
    for _ in range(AGREED + 3):
        assert len(feed.send(P)) <= 1
    assert [len(feed.send(IDR)), len(feed.send(P)), len(feed.send(P))] == [1, 2, 1]


def test_a_camera_that_marks_every_slice_has_its_pictures_whole() -> None:
    feed = Feed()
    done = []
    for _ in range(20):
        done += feed.send(SPS, PPS, IDR, IDR_2, markers=(2, 3))
        done += feed.send(P, P_2, markers=(0, 1))
    assert data(done) == [joined(SPS, PPS, IDR, IDR_2), joined(P, P_2)] * 19 + [joined(SPS, PPS, IDR, IDR_2)]


def test_one_that_begins_to_lie_later_is_found_out_at_once_and_for_good() -> None:
    feed = Feed()
    feed.agree()
    assert data(feed.send(P, P_2, P_2, markers=(0, 1, 2))) == [joined(P), Hole()]  # too late for this one
    for _ in range(AGREED + 3):
        done = feed.send(P, P_2, markers=(0, 1))
    assert data(done) == [joined(P, P_2)]


def test_without_markers_a_picture_ends_when_the_next_begins() -> None:
    feed = Feed()
    sent = [(SPS, PPS, IDR), (P, P_2), (P,), (P,), (P,), (P,)]
    done = [one for payloads in sent for one in feed.send(*payloads, markers=())]
    assert data(done) == [joined(*payloads) for payloads in sent[:-1]]


def test_two_pictures_or_fields_of_one_time_are_two() -> None:
    feed = Feed()
    feed.agree()
    assert data(feed.send(P, P, markers=(0, 1))) == [joined(P), joined(P)]


def test_marked_parameter_sets_are_part_of_the_picture_behind_them() -> None:
    feed = Feed()
    feed.agree()
    assert data(feed.send(SPS)) == []
    assert data(feed.send(PPS)) == []
    (unit,) = feed.send(IDR)
    assert unit == AccessUnit(joined(SPS, PPS, IDR), unit.rtp_time, True, True)  # type: ignore[union-attr]
    assert unit.rtp_time == feed.time - 3000  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("payloads", "entry"),
    [
        ((SPS, PPS, IDR), True),
        ((RECOVERY, P), True),
        ((SEI, P), False),
        ((SEI + RECOVERY[1:], P), False),
        ((P,), False),
    ],
)
def test_where_decoding_may_begin_is_told(payloads: tuple[bytes, ...], entry: bool) -> None:
    feed = Feed()
    feed.agree()
    (unit,) = feed.send(*payloads)
    assert isinstance(unit, AccessUnit)
    assert unit.entry is entry


def test_a_lost_packet_costs_its_picture_and_is_told() -> None:
    feed = Feed()
    feed.agree()
    feed.send(b"\x7c\x81\x9apic", markers=())
    feed.sequence += 1
    assert data(feed.send(b"\x7c\x01tu", b"\x7c\x41re", P_2)) == [Hole()]
    assert data(feed.send(P)) == [joined(P)]  # whether it may be shown is for the decoder's owner to say


def test_a_whole_picture_lost_between_two_is_told() -> None:
    feed = Feed()
    feed.agree()
    feed.sequence = (feed.sequence + 3) & 0xFFFF
    assert data(feed.send(P)) == [Hole(), joined(P)]


def test_a_packet_that_comes_twice_counts_once() -> None:
    feed = Feed()
    feed.agree()
    feed.send(P)
    feed.sequence -= 1
    feed.time -= 3000
    assert feed.send(P) == []
    assert data(feed.send(P)) == [joined(P)]


@pytest.mark.parametrize(
    "payload",
    [b"\x7c", b"\x7c\x05", b"\x7c\x05middle", b"\x78\0\xffshort"],
)
def test_what_makes_no_sense_is_a_loss(payload: bytes) -> None:
    feed = Feed()
    feed.agree()
    assert data(feed.send(payload)) == [Hole()]
    assert data(feed.send(IDR)) == [joined(IDR)]


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_hostile_packets_end_in_a_word_of_ours_and_are_not_kept(codec: VideoCodec) -> None:
    chance = random.Random(4)
    kinds = [
        b"\x7c\x85",
        b"\x7c\x05",
        b"\x7c\x45",
        b"\x78\0",
        b"\x62\1\x93",
        b"\x62\1\x13",
        b"\x60\1",
        b"\x65\x88",
        b"",
    ]
    feed = Feed(codec)
    for _ in range(20_000):
        payload = chance.choice(kinds) + chance.randbytes(chance.randrange(40))
        feed.sequence = (feed.sequence + (chance.random() < 0.05) * chance.randrange(65536)) & 0xFFFF
        try:
            feed.send(payload or b"\0", markers=(0,) if chance.random() < 0.3 else ())
        except UnknownPacking:
            continue


def test_a_picture_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ingest.rtsp.depacketizer.LARGEST_UNIT_BYTES", 100_000)
    feed = Feed()
    done = []
    for first in (b"\x7c\x85", b"\x65\x88", b"\x67\x42"):
        for _ in range(100):
            done += feed.send(first + bytes(1400), markers=())
            feed.time -= 3000
            first = b"\x7c\x05" if first[0] == 0x7C else first
            assert len(feed.depacketizer._unit) + len(feed.depacketizer._fragment) < 110_000
    assert Hole() in done


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_what_an_encoder_coded_comes_out_byte_by_byte(codec: str) -> None:
    stamper = Stamper(7, 65500, 2**32 - 9000)
    with VideoEncoder(StreamSettings(fps=30, width=320, height=192, codec=codec)) as encoder:
        depacketizer = Depacketizer(VideoCodec.H264 if codec == "h264" else VideoCodec.H265)
        entries = []
        for n in range(30):
            coded = encoder.encode(numbered_picture(n, 320, 192), keyframe=n % 10 == 0)
            for packet in coded.packets:
                read = read_packet(memoryview(stamper.stamp(packet, stamper.rtp_time(n / 30))))
                assert read is not None
                entries += [one.entry for one in depacketizer.push(read) if isinstance(one, AccessUnit)]
    assert entries == [n % 10 == 0 for n in range(30)]
