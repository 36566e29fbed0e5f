"""What can be set about one camera: its address, its rhythm, and how long to be patient with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from pipeline.ingest.address import KAFKA, SCHEMES, SecretUrl
from stages.settings import Settings
from stages.values import CameraId

_FILE_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg"})
_PLAYLIST_SUFFIXES = frozenset({".m3u8", ".m3u"})
_PLAYLIST_SILENCE_S = 30.0  # pieces are mostly 2 to 10 s long, and nothing comes between two of them


class Transport(StrEnum):
    """How RTSP carries its pictures."""

    TCP = "tcp"
    UDP = "udp"


class RtspReader(StrEnum):
    """Who reads RTSP."""

    AUTO = "auto"
    DIRECT = "direct"
    FFMPEG = "ffmpeg"


class HwAccel(StrEnum):
    """Which hardware decodes."""

    NONE = "none"
    CUDA = "cuda"
    VAAPI = "vaapi"
    AUTO = "auto"


class Pace(StrEnum):
    """How fast a file is read."""

    REALTIME = "realtime"
    FAST = "fast"


class CameraSettings(Settings):
    """One camera. Times are seconds."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input holds the password

    camera_id: CameraId = Field(CameraId(""), description="The camera's name; in a config file, its key.")
    url: SecretUrl = Field(
        description="Where pictures come from: rtsp:// rtsps:// http:// https:// rtmp:// (HLS too), file:PATH or a "
        "path (a video or a folder of pictures), v4l2:/dev/video0, kafka:NAME (an entry of `topics`). Shown masked "
        "everywhere; better, keep the password in `password_file` or write ${NAME} and set NAME in the environment."
    )
    username_file: Path | None = Field(
        None, description="File whose first line is the user's name; read at each connect, so it may change."
    )
    password_file: Path | None = Field(
        None, description="File whose first line is the password; read at each connect, so it may change."
    )
    fps: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Pictures taken per second, on average; the rest is decoded and left out before it is copied. "
        "Less costs less everywhere behind it; too few and parts pass between two pictures. The live "
        "cameras of a shard take theirs one after another, so that none waits for the others. null: all the source "
        "gives.",
    )
    live: bool | None = Field(
        None,
        description="Whether a lost picture is lost for good (freshest wins, the stream's end means reconnect) or "
        "can be read again (nothing is dropped, the end is the end). null: files and addresses that end "
        "like one can, everything else is live.",
    )
    transport: Transport = Field(
        Transport.TCP,
        description="tcp loses nothing on the way but waits for what was late; udp is fresher on a bad network and "
        "shows torn pictures there. RTSP only.",
    )
    rtsp_reader: RtspReader = Field(
        RtspReader.AUTO,
        description="Who reads rtsp://. `direct` gives a picture out when its last packet is there and reads H.264 and "
        "H.265 over tcp; `ffmpeg` reads whatever FFmpeg does and gives a picture out only when the next one begins: "
        "200 ms later at 5 a second. auto: direct where that fits (tcp, `hwaccel: none`, no `options`), and FFmpeg "
        "for a camera that turns out to need it, which the log says once.",
    )
    threads: int = Field(
        1,
        ge=0,
        le=64,
        description="Decoder threads. More decode a large picture sooner and take cores from the model; 0 lets the "
        "decoder choose. 1 is enough for 1080p at 30 a second.",
    )
    hwaccel: HwAccel = Field(
        HwAccel.NONE,
        description="Hardware that decodes: cuda, vaapi, or auto for the first that works. Used if the FFmpeg build "
        "has it: the one that PyAV brings along has cuda and no vaapi. Where there is none, software decodes and the "
        "log says so once. Frees cores; each picture is copied back, so small streams gain nothing.",
    )
    buffer_frames: int = Field(
        2,
        ge=1,
        le=256,
        description="Pictures held between decoder and pipeline. More ride out a hiccup without a drop, at the price "
        "of memory and, live, of older pictures.",
    )
    keyframes_only_behind_s: float | None = Field(
        2.0,
        gt=0,
        le=60,
        description="Live: when decoding is this many seconds late, only keyframes are decoded until it has caught "
        "up; the rest is counted as `behind`. Less stays fresher, more keeps more pictures. null: never.",
    )
    open_timeout_s: float = Field(
        10.0, ge=0.1, le=120, description="Longest wait for a connection. Less notices a dead address sooner."
    )
    read_timeout_s: float = Field(
        5.0,
        ge=0.1,
        le=120,
        description="Longest silence of the network on a live stream before it counts as lost. Must exceed the "
        "longest pause between two pictures. HLS (.m3u8) is given 30 s at least: it comes in pieces.",
    )
    stall_timeout_s: float = Field(
        10.0,
        ge=0.2,
        le=600,
        description="Longest time without a picture before the watchdog gives the connection up, whatever the "
        "network does. Must exceed the time between two keyframes, or a slow start looks like a stall. Two pictures' "
        "time at `fps`, and for HLS (.m3u8) 30 s, are waited at least.",
    )
    first_backoff_s: float = Field(
        0.5, gt=0, le=60, description="Wait before the first try to reconnect; it doubles from there."
    )
    max_backoff_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Longest wait between two tries. Less is back sooner, more is kinder to a struggling camera.",
    )
    stable_after_s: float = Field(
        10.0, ge=0, le=3600, description="Pictures must have come for so long before the wait starts small again."
    )
    max_clock_skew_s: float = Field(
        30.0,
        ge=0,
        le=86400,
        description="How far the camera's clock (RTCP sender reports) may be from ours and still date its pictures; "
        "beyond it arrival does, and the log says so. 0 trusts no camera's clock.",
    )
    pace: Pace = Field(
        Pace.FAST,
        description="Files and folders: `fast` reads as fast as they are worked on, `realtime` as a camera would "
        "give them.",
    )
    loop: bool = Field(False, description="Files and folders: start over at the end, for ever.")
    resume: bool = Field(
        False,
        description="Files and folders: true goes on behind the last picture published of this same file; false is a "
        "new run from the start.",
    )
    tls_verify: bool = Field(
        False,
        description="rtsps, https, rtmps: refuse a certificate that no known authority signed. Cameras sign their "
        "own, so it is off; switch it on for servers on the internet.",
    )
    options: dict[str, str] = Field(
        default_factory=dict,
        repr=False,  # it may hold an Authorization header
        description="Further FFmpeg options for opening the address; they win over ours.",
    )

    @field_validator("url")
    @classmethod
    def _scheme_is_known(cls, url: SecretUrl) -> SecretUrl:
        if url.scheme not in SCHEMES:
            raise ValueError(f"unknown scheme {url.scheme!r}: Rayline reads {', '.join(SCHEMES)} and plain paths")
        if url.is_network and not _host(url):
            raise ValueError(f"{url} names no host; right would be {url.scheme}://HOST/PATH")
        if not url.is_network and not url.path:
            raise ValueError(f"{url} names no path")
        return url

    @model_validator(mode="after")
    def _secrets_have_a_server(self) -> Self:
        if (self.username_file or self.password_file) and not self.url.is_network:
            raise ValueError("username_file and password_file are for network addresses")
        if self.topic is not None and self.live:
            raise ValueError("what lies in Kafka can be read again: `live` cannot be true")
        return self

    @model_validator(mode="after")
    def _direct_can_read_it(self) -> Self:
        if self.rtsp_reader is RtspReader.DIRECT and not self.is_for_direct_reader:
            raise ValueError(
                "`rtsp_reader: direct` is for live rtsp:// with `transport: tcp`, `hwaccel: none` and no `options`"
            )
        return self

    @property
    def is_for_direct_reader(self) -> bool:
        """True where the direct RTSP reader may be asked."""
        return (
            self.url.scheme == "rtsp"
            and self.is_live
            and self.transport is Transport.TCP
            and self.hwaccel is HwAccel.NONE
            and not self.options
        )

    @property
    def topic(self) -> str | None:
        """The entry of `topics` its pictures come from; None: it is read by itself."""
        return self.url.path if self.url.scheme == KAFKA else None

    @property
    def is_live(self) -> bool:
        """True where a picture that was lost cannot be asked for again."""
        if self.live is not None:
            return self.live
        if self.url.scheme == "v4l2":
            return True
        if self.url.scheme == KAFKA:
            return False
        return self.url.is_network and _suffix_on_server(self.url) not in _FILE_SUFFIXES

    @property
    def longest_read_s(self) -> float:
        """Longest silence of the network that is no loss."""
        return max(self.read_timeout_s, self._between_pieces_s)

    @property
    def longest_stall_s(self) -> float:
        """Longest time without a picture that is no stall."""
        return max(self.stall_timeout_s, self._between_pieces_s, 2.0 / self.fps if self.fps else 0.0)

    @property
    def _between_pieces_s(self) -> float:
        return _PLAYLIST_SILENCE_S if _suffix_on_server(self.url) in _PLAYLIST_SUFFIXES else 0.0


def _host(url: SecretUrl) -> str:
    return url.place.partition("/")[0]


def _suffix_on_server(url: SecretUrl) -> str:
    """How the path on a web server ends, in small letters; empty for anything else."""
    if url.scheme not in ("http", "https"):
        return ""
    path = urlsplit(f"//{url.place}").path  # without the login: it may hold what urlsplit would choke on
    return PurePosixPath(path).suffix.lower()
