"""A session description (RFC 4566): which track is the picture, how it is packed, and what address it is asked by."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.ingest.rtsp.errors import SourceUnsupported
from pipeline.ingest.source import SourceInvalid
from pipeline.ingest.video_codec import VideoCodec

_CODECS = {"H264": VideoCodec.H264, "H265": VideoCodec.H265, "HEVC": VideoCodec.H265}
_RTPMAP = re.compile(r"(\d{1,3})\s+([\w.-]+)/(\d{1,9})")
_SETS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_MOST_LINES = 2000
_MOST_SET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Track:
    """The video track to play."""

    codec: VideoCodec
    payload_type: int
    clock_hz: int
    url: str  # to set it up
    session_url: str  # to play it
    parameter_sets: tuple[bytes, ...]  # NAL units; empty where they come with the pictures


@dataclass(slots=True)
class _Section:
    """The session's lines, or those of one medium."""

    kind: str = ""
    formats: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]

    @property
    def control(self) -> str:
        return next(iter(self.values("control")), "")


def video_track(text: str, base: str, name: str) -> Track:
    """The one video track. Raises SourceInvalid where there is none, SourceUnsupported where FFmpeg must choose."""
    session, *media = _sections(text)
    videos = [one for one in media if one.kind == "video"]
    if not videos:
        raise SourceInvalid(f"{name} holds no video")
    if len(videos) > 1:
        raise SourceUnsupported(f"{name} has {len(videos)} video tracks")
    video = videos[0]
    payload_type, codec, clock_hz = _format(video, name)
    parameters = _parameters(video, payload_type)
    if parameters.get("packetization-mode") == "2" or parameters.get("sprop-max-don-diff", "0") != "0":
        raise SourceUnsupported(f"{name} sends {codec} in an interleaved order")
    session_url = resolved(base, session.control)
    return Track(codec, payload_type, clock_hz, resolved(base, video.control), session_url, _parameter_sets(parameters))


def resolved(base: str, control: str) -> str:
    """The address of a control attribute. As servers mean it: set behind the base, whatever the base ends in."""
    if control in ("", "*"):
        return base
    if re.match(r"rtspu?://", control, re.IGNORECASE):
        return control
    return f"{base}{'' if base.endswith('/') else '/'}{control}"


def _sections(text: str) -> list[_Section]:
    sections = [_Section()]
    for line in text.splitlines()[:_MOST_LINES]:
        kind, _, value = line.strip().partition("=")
        if kind == "m":
            words = value.split()
            sections.append(_Section(words[0].lower() if words else "", words[3:]))
        elif kind == "a":
            key, _, rest = value.partition(":")
            sections[-1].attributes.append((key.strip().lower(), rest.strip()))
    return sections


def _format(video: _Section, name: str) -> tuple[int, VideoCodec, int]:
    """Payload type, codec and clock of the first format that is read."""
    known = {}
    for value in video.values("rtpmap"):
        if (found := _RTPMAP.match(value)) and int(found[3]) > 0:
            known[found[1]] = (found[2].upper(), int(found[3]))
    for payload_type in video.formats:
        codec, clock_hz = known.get(payload_type, ("", 0))
        if codec in _CODECS:
            return int(payload_type), _CODECS[codec], clock_hz
    names = ", ".join(codec for codec, _ in known.values()) or "of a kind it does not name"
    raise SourceUnsupported(f"{name} sends video {names[:100]}")


def _parameters(video: _Section, payload_type: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in video.values("fmtp"):
        number, _, rest = value.partition(" ")
        if number == str(payload_type):
            parts = (part.partition("=") for part in rest.split(";"))
            found |= {key.strip().lower(): one.strip() for key, _, one in parts if key.strip()}
    return found


def _parameter_sets(parameters: dict[str, str]) -> tuple[bytes, ...]:
    """In the order decoders want them, without those that cannot be read: most come with the pictures too."""
    units = tuple(unit for key in _SETS for unit in _decoded(parameters.get(key, "")))
    return units if sum(map(len, units)) <= _MOST_SET_BYTES else ()


def _decoded(text: str) -> Iterator[bytes]:
    for one in filter(None, text.strip('"').split(",")):
        try:
            unit = base64.b64decode(one + "=" * (-len(one) % 4))
        except (binascii.Error, ValueError):
            continue
        if unit:
            yield unit
