"""Session descriptions in the shapes cameras give them."""

from __future__ import annotations

import random

import pytest

from pipeline.ingest.rtsp.errors import SourceUnsupported
from pipeline.ingest.rtsp.sdp import resolved, video_track
from pipeline.ingest.source import SourceInvalid
from pipeline.ingest.video_codec import VideoCodec

HIKVISION = """v=0
o=- 1666779 1666779 IN IP4 192.0.2.64
s=Media Presentation
e=NONE
b=AS:5050
t=0 0
a=control:rtsp://192.0.2.64:554/Streaming/Channels/101/
m=video 0 RTP/AVP 96
c=IN IP4 0.0.0.0
b=AS:5000
a=recvonly
a=x-dimensions:1920,1080
a=control:rtsp://192.0.2.64:554/Streaming/Channels/101/trackID=1
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKpWoHgCJ+WEAAAMAAQ==,aO48gA==
m=audio 0 RTP/AVP 8
a=control:rtsp://192.0.2.64:554/Streaming/Channels/101/trackID=2
a=rtpmap:8 PCMA/8000
a=Media_header:MEDIAINFO=494D4B48010200000400000111710110401F000000FA000000000000000000000000000000000000;
"""
DAHUA = """v=0
o=- 2251938191 2251938191 IN IP4 0.0.0.0
s=RTSP Session/2.0
c=IN IP4 0.0.0.0
t=0 0
a=control:*
a=range:npt=now-
a=packetization-supported:DH
m=video 0 RTP/AVP 98
a=control:trackID=0
a=framerate:25.000000
a=rtpmap:98 H265/90000
a=fmtp:98 profile-id=1;sprop-sps=QgEBAWAAAAMAsAAAAwAA;sprop-pps=RAHgdrAmQA==;sprop-vps=QAEMAf//AWAAAA==
a=recvonly
m=application 0 RTP/AVP 107
a=control:trackID=4
a=rtpmap:107 vnd.onvif.metadata/90000
"""
AXIS = """v=0
o=- 123 1 IN IP4 192.0.2.5
s=Session streamed with GStreamer
a=control:rtsp://192.0.2.5/axis-media/media.amp?videocodec=h264
m=video 0 RTP/AVP 96
b=AS:50000
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=4d0029
a=control:rtsp://192.0.2.5/axis-media/media.amp/stream=0?videocodec=h264
"""


def test_absolute_controls_and_sets_of_h264() -> None:
    track = video_track(HIKVISION, "rtsp://192.0.2.64:554/Streaming/Channels/101/", "cam")
    assert (track.codec, track.payload_type, track.clock_hz) == (VideoCodec.H264, 96, 90_000)
    assert track.url == "rtsp://192.0.2.64:554/Streaming/Channels/101/trackID=1"
    assert track.session_url == "rtsp://192.0.2.64:554/Streaming/Channels/101/"
    assert [unit[0] & 0x1F for unit in track.parameter_sets] == [7, 8]


def test_relative_controls_behind_a_query_and_sets_of_h265_in_the_decoders_order() -> None:
    track = video_track(DAHUA, "rtsp://192.0.2.7:554/cam/realmonitor?channel=1&subtype=0/", "cam")
    assert (track.codec, track.payload_type) == (VideoCodec.H265, 98)
    assert track.url == "rtsp://192.0.2.7:554/cam/realmonitor?channel=1&subtype=0/trackID=0"
    assert track.session_url == "rtsp://192.0.2.7:554/cam/realmonitor?channel=1&subtype=0/"
    assert [unit[0] >> 1 for unit in track.parameter_sets] == [32, 33, 34]


def test_a_track_without_sets_has_none() -> None:
    track = video_track(AXIS.replace("\n", "\r\n"), "rtsp://192.0.2.5/axis-media/media.amp", "cam")
    assert track.parameter_sets == ()
    assert track.url.endswith("/stream=0?videocodec=h264")


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://cam/1/", "track1", "rtsp://cam/1/track1"),
        ("rtsp://cam/1", "track1", "rtsp://cam/1/track1"),
        ("rtsp://cam/1", "*", "rtsp://cam/1"),
        ("rtsp://cam/1", "", "rtsp://cam/1"),
        ("rtsp://cam/1", "RTSP://other/2", "RTSP://other/2"),
    ],
)
def test_controls_are_resolved_as_servers_mean_them(base: str, control: str, url: str) -> None:
    assert resolved(base, control) == url


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        pytest.param("v=0\nm=audio 0 RTP/AVP 8\n", SourceInvalid, "holds no video", id="sound alone"),
        pytest.param("", SourceInvalid, "holds no video", id="nothing"),
        pytest.param("m=video 0 RTP/AVP 26\n", SourceUnsupported, "of a kind it does not name", id="MJPEG by number"),
        pytest.param(AXIS.replace("H264/", "JPEG/"), SourceUnsupported, "sends video JPEG", id="MJPEG by name"),
        pytest.param(AXIS + AXIS, SourceUnsupported, "2 video tracks", id="FFmpeg takes the largest"),
        pytest.param(AXIS.replace("mode=1", "mode=2"), SourceUnsupported, "interleaved order", id="interleaved"),
        pytest.param(
            DAHUA.replace("profile-id=1", "sprop-max-don-diff=2"), SourceUnsupported, "interleaved", id="H.265 with DON"
        ),
        pytest.param(AXIS.replace("/90000", "/0"), SourceUnsupported, "sends video", id="a clock that stands"),
    ],
)
def test_what_is_not_read_directly_is_said(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        video_track(text, "rtsp://cam/1", "cam")


def test_spoilt_descriptions_end_in_a_word_of_ours_or_a_track() -> None:
    chance = random.Random(2)
    for _ in range(1000):
        text = list(chance.choice([HIKVISION, DAHUA, AXIS]))
        for _ in range(chance.randrange(1, 40)):
            text[chance.randrange(len(text))] = chr(chance.choice([0, 10, 32, 44, 47, 58, 59, 61, 178, 0x661, 255]))
        try:
            video_track("".join(text), "rtsp://cam/1", "cam")
        except SourceInvalid:
            continue
