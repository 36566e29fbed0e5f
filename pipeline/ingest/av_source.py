"""Pictures by FFmpeg, from streams, files and devices."""

from __future__ import annotations

import functools
import logging
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.frame import VideoFrame

from pipeline.ingest.address import mask, read_secret
from pipeline.ingest.av_pictures import Pictures
from pipeline.ingest.camera_settings import CameraSettings, HwAccel, Pace
from pipeline.ingest.capture_clock import CaptureClock, MediaClock
from pipeline.ingest.pacing import LivePacer, Pacer
from pipeline.ingest.sampling import KeyframesOnly, RateSampler
from pipeline.ingest.source import (
    BEHIND,
    DECODE_ERROR,
    After,
    BadFrame,
    SourceError,
    SourceFrame,
    SourceInvalid,
    SourceLost,
    SourceRefused,
)
from stages.values import Clock

logger = logging.getLogger(__name__)

_FALLBACK_FPS = 25.0  # for files that do not say theirs
_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: an album's cover is no video


class AvSource:
    """One run of one address FFmpeg can read. Live where the settings say so; then `turn` is as of RateSampler."""

    def __init__(
        self,
        settings: CameraSettings,
        turn: float = 0.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live = settings.is_live
        self.codec = self.identity = ""
        self._settings = settings
        self._turn = turn
        self._wall = wall
        self._monotonic = monotonic
        self._secrets = settings.url.secrets()
        self._container: InputContainer | None = None
        self._cancelled = threading.Event()
        self._pictures = Pictures()
        self._decode_s = 0.0  # the last packet's

    # The life of a source

    def open(self) -> None:
        """Connects. Raises SourceLost, SourceRefused or SourceInvalid."""
        self._attach(self._connect())
        if not self.live:
            self.identity = self._identify()

    def frames(self, after: After | None = None) -> Iterator[SourceFrame | BadFrame]:
        """Pictures in order; behind `after` where the source can be read again."""
        return self._live_frames() if self.live else self._replayed_frames(after)

    def cancel(self) -> None:
        """Ends `frames` with the next packet."""
        self._cancelled.set()

    def close(self) -> None:
        """Lets go of the connection."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    # Connecting

    def _connect(self) -> InputContainer:
        target, format_name, options = self._target()
        timeout = (self._settings.open_timeout_s, self._settings.longest_read_s) if self._is_remote else None
        started = self._monotonic()
        # The error is raised outside `except`, or FFmpeg's own, which holds the password, would hang on to it.
        try:
            return av.open(
                target,
                format=format_name,
                options=options,
                timeout=timeout,
                hwaccel=_hwaccel(self._settings.hwaccel, self._settings.camera_id),
                metadata_errors="replace",
            )
        except av.FFmpegError as exc:
            error = self._open_error(exc, self._monotonic() - started)
        raise error

    def _target(self) -> tuple[str, str | None, dict[str, str]]:
        settings, url = self._settings, self._settings.url
        if url.scheme == "v4l2":
            rate = {"framerate": f"{settings.fps:g}"} if settings.fps else {}
            return url.path, "video4linux2,v4l2", {**rate, **settings.options}
        if not url.is_network:
            return url.path, None, dict(settings.options)
        try:
            username, password = read_secret(settings.username_file), read_secret(settings.password_file)
        except OSError as exc:
            raise SourceRefused(f"{self._name}: cannot read {exc.filename}: {exc.strerror}") from None
        self._secrets = (*url.secrets(), *([password] if password else []))
        return url.reveal(username, password), None, {**_network_options(settings), **settings.options}

    def _attach(self, container: InputContainer) -> None:
        self._container = container
        streams = [s for s in container.streams.video if not int(s.disposition) & _ATTACHED_PICTURE]
        if not streams:
            raise SourceInvalid(f"{self._name} holds no video")
        stream = max(streams, key=lambda s: s.width * s.height)
        stream.thread_type = "SLICE" if self.live else "AUTO"  # AUTO gives pictures out two frames late
        stream.codec_context.thread_count = self._settings.threads
        self._stream = stream
        self.codec = stream.codec_context.name

    def _identify(self) -> str:
        url = self._settings.url
        if url.is_network:
            return str(url)
        path = Path(url.path).resolve()
        stat = path.stat()
        return f"{path},{stat.st_size},{stat.st_mtime_ns}"

    @property
    def _is_remote(self) -> bool:
        return self._settings.url.scheme != "file"

    @property
    def _name(self) -> str:
        return str(self._settings.url)

    # Reading

    def _decoded(self, on_packet: Callable[[Any], bool] | None = None) -> Iterator[VideoFrame | BadFrame]:
        """Frames in the order they are shown; `on_packet` may have a packet left out. Ends at cancel or at the end."""
        packets = self._demux()
        while not self._cancelled.is_set():
            packet = self._next_packet(packets)
            if packet is None:
                return
            if on_packet is not None and not on_packet(packet):
                yield BadFrame(BEHIND)
                continue
            started = self._monotonic()
            try:
                frames = packet.decode()
            except av.FFmpegError:
                logger.debug("camera %s: a packet cannot be decoded", self._settings.camera_id)
                yield BadFrame(DECODE_ERROR)
                continue
            self._decode_s = self._monotonic() - started
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    yield frame

    def _demux(self) -> Iterator[Any]:
        if self._container is None:
            raise SourceLost(f"{self._name} is not open")
        return self._container.demux(self._stream)

    def _next_packet(self, packets: Iterator[Any]) -> Any | None:
        try:
            return next(packets, None)
        except av.FFmpegError as exc:
            error = self._read_error(exc)
        raise error

    def _live_frames(self) -> Iterator[SourceFrame | BadFrame]:
        capture = CaptureClock(self._settings.camera_id, self._settings.max_clock_skew_s)
        sampler = RateSampler(self._settings.fps, self._turn)
        # HLS comes in pieces, each faster than it was made: how late its packets are read tells nothing.
        in_pieces, finite = self._is_hls, self._is_hls and bool(self._duration)
        keyframes_only = KeyframesOnly(None if in_pieces else self._settings.keyframes_only_behind_s)
        pacer = self._pacer() if finite else LivePacer(self._cancelled.wait, self._monotonic) if in_pieces else None
        arrived, seen = self._wall(), False

        def on_packet(packet: Any) -> bool:
            nonlocal arrived
            arrived = self._wall()
            media = _seconds(packet)
            if media is not None and (camera_wall := _sender_report(packet)) is not None:
                capture.reported(camera_wall, media, arrived)
            return not keyframes_only.skip(media, self._monotonic(), packet.is_keyframe)

        for minor, item in enumerate(self._decoded(on_packet)):
            if isinstance(item, BadFrame):
                if seen:  # what cannot be decoded before the first keyframe was never ours
                    yield item
                continue
            seen = True
            media = _seconds(item)
            if pacer is not None and media is not None:
                pacer.wait_until(media)
            if not sampler.take(arrived if media is None else media, arrived):
                continue
            at, clock = capture.at(media, arrived)
            yield SourceFrame(self._pictures.of(item), at, clock, self._wall(), 0, minor, self._decode_s)
        if not self._cancelled.is_set() and not finite:
            raise SourceLost(f"{self._name}: the stream ended")

    @property
    def _is_hls(self) -> bool:
        return self._container is not None and self._container.format.name == "hls"

    @property
    def _duration(self) -> int | None:
        """A recording's; a live stream has none."""
        return None if self._container is None else self._container.duration

    def _replayed_frames(self, after: After | None) -> Iterator[SourceFrame | BadFrame]:
        loop, done = (after.major, after.minor) if after else (0, -1)
        run = _Run(self._start_time(), MediaClock(1.0 / self._fps()), RateSampler(self._settings.fps), self._pacer())
        run.known_at = after.captured_at if after else None
        while not self._cancelled.is_set():
            decoded_before = run.decoded
            yield from self._one_pass(run, loop, done)
            if run.decoded == decoded_before and done < 0 and not self._cancelled.is_set():
                raise SourceInvalid(f"{self._name} holds no picture that can be decoded")
            if not self._settings.loop:
                return
            loop, done = loop + 1, -1
            run.media.new_loop()
            self._rewind()

    def _one_pass(self, run: _Run, loop: int, done: int) -> Iterator[SourceFrame | BadFrame]:
        index, frames = self._seek_behind(done, run) if done >= 0 else (-1, self._decoded())
        for item in frames:
            if isinstance(item, BadFrame):
                index += item.count
                if index > done:
                    yield item
                continue
            index += 1
            run.decoded += 1
            at = run.media.at(_seconds(item))
            if index == done:
                run.go_on_from(at)
            if index <= done or not run.sampler.take(at):
                continue
            if self._settings.pace is Pace.REALTIME:
                run.pacer.wait_until(at)
            picture = self._pictures.of(item)
            yield SourceFrame(picture, run.start + at, Clock.MEDIA, self._wall(), loop, index, self._decode_s)

    def _pacer(self) -> Pacer:
        return Pacer(self._cancelled.wait, self._monotonic)

    def _start_time(self) -> float:
        """Capture time of a file's first picture: now, or where runs go on in one another, the same for all of them."""
        if self._settings.resume and not self._settings.url.is_network:
            return Path(self._settings.url.path).stat().st_mtime
        return self._wall()

    def _fps(self) -> float:
        rate = self._stream.average_rate
        return float(rate) if rate else _FALLBACK_FPS

    def _rewind(self) -> None:
        self.close()
        self._attach(self._connect())

    # Going on where an earlier run stopped

    def _seek_behind(self, done: int, run: _Run) -> tuple[int, Iterator[VideoFrame | BadFrame]]:
        """The index before the first frame the iterator gives, and the iterator.

        From the last keyframe at or before frame `done`, if the file's time stamps tell which frame that is; from the
        beginning otherwise, which is slower and always right.
        """
        shown = None if self._settings.url.is_network else self._shown_order(done)
        if shown is not None and self._container is not None:
            order, keyframe = shown
            self._container.seek(keyframe, stream=self._stream)
            frames = self._decoded()
            first = next(frames, None)
            if isinstance(first, VideoFrame) and first.pts is not None and order.get(first.pts, done + 1) <= done:
                index = order[first.pts]
                run.media.go_to((first.pts - min(order)) * float(self._stream.time_base or 0))
                return index - 1, _chained(first, frames)
        self._rewind()
        return -1, self._decoded()

    def _shown_order(self, done: int) -> tuple[dict[int, int], int] | None:
        """Time stamp -> index of every picture, and the time stamp of the keyframe to start from; None if unclear."""
        stamps: list[int] = []
        keyframes: list[int] = []
        last_dts = -(2**63)
        for packet in self._demux():
            if packet.size == 0 or packet.is_discard:
                continue
            dts = last_dts if packet.dts is None else packet.dts
            if packet.pts is None or dts < last_dts:
                return None  # missing or jumping: the order of showing cannot be told without decoding
            last_dts = dts
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keyframes.append(packet.pts)
        order = {pts: index for index, pts in enumerate(sorted(stamps))}
        before = [pts for pts in keyframes if order[pts] <= done]
        if len(order) != len(stamps) or done >= len(stamps) or not before:
            return None
        return order, max(before)

    # FFmpeg's errors in our words

    def _open_error(self, exc: av.FFmpegError, took_s: float) -> SourceError:
        """What an error of `av.open` means for a camera; the text never holds what FFmpeg says about the address."""
        why, name = self._hidden(exc.strerror), self._name
        if isinstance(exc, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return SourceRefused(f"{name} refused the login ({why}); check user name and password")
        if isinstance(exc, av.error.HTTPError | av.error.HTTPClientError):
            return SourceRefused(f"{name} refused: {why}")
        if isinstance(
            exc, av.error.ProtocolNotFoundError | av.error.DemuxerNotFoundError | av.error.DecoderNotFoundError
        ):
            return SourceInvalid(f"{name} cannot be read by this build of FFmpeg: {why}")
        if not self._is_remote:
            return SourceInvalid(f"{name} cannot be opened: {why}")
        if took_s >= 0.9 * self._settings.open_timeout_s:
            return SourceLost(f"{name} did not answer within {self._settings.open_timeout_s:g} s")
        return SourceLost(f"{name} cannot be reached: {why}")

    def _read_error(self, exc: av.FFmpegError) -> SourceError:
        if isinstance(exc, av.error.ExitError):
            return SourceLost(f"{self._name} sent nothing for {self._settings.longest_read_s:g} s")
        if not self._is_remote:
            return SourceInvalid(f"{self._name} cannot be read further: {self._hidden(exc.strerror)}")
        return SourceLost(f"{self._name} was lost: {self._hidden(exc.strerror)}")

    def _hidden(self, text: str | None) -> str:
        return mask(text or "unknown error", self._secrets)


class _Run:
    """What goes on through the loops of one run of a file."""

    def __init__(self, start: float, media: MediaClock, sampler: RateSampler, pacer: Pacer) -> None:
        self.start = start
        self.media = media
        self.sampler = sampler
        self.pacer = pacer
        self.decoded = 0  # pictures, the ones left out too
        self.known_at: float | None = None  # when the picture was taken that it goes on behind, Unix seconds

    def go_on_from(self, at: float) -> None:
        """This media time is that of the picture before the first: dates and rhythm go on as if it had just been."""
        self.sampler.take(at)
        if self.known_at is not None:
            self.start = self.known_at - at


def _chained(first: VideoFrame, rest: Iterator[VideoFrame | BadFrame]) -> Iterator[VideoFrame | BadFrame]:
    yield first
    yield from rest


def _seconds(timed: Any) -> float | None:
    """Presentation time of a packet or frame, if it has one."""
    return None if timed.pts is None else timed.pts * float(timed.time_base)


def _sender_report(packet: Any) -> float | None:
    """The camera's wall clock for this packet, Unix seconds, once an RTCP sender report has come."""
    if not packet.has_sidedata("prft"):
        return None
    micros: int = struct.unpack("<q", bytes(packet.get_sidedata("prft"))[:8])[0]
    return micros / 1e6


def _network_options(settings: CameraSettings) -> dict[str, str]:
    options = {"tls_verify": "1" if settings.tls_verify else "0"} if settings.url.scheme in _TLS_SCHEMES else {}
    if settings.url.scheme in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": settings.transport.value, "allowed_media_types": "video"}
        # A stream that describes itself needs little probing; FFmpeg's defaults cost two seconds at each connect.
        # Not fflags=nobuffer: it throws away what was probed, the first keyframe with it, and saves no latency.
        options |= {"analyzeduration": "300000", "probesize": "32768"}
        if settings.url.scheme == "rtsps":
            options["rtsp_transport"] = "tcp"
    elif settings.is_live:
        options |= {"analyzeduration": "1000000"}
    return options


_TLS_SCHEMES = ("https", "rtmps", "rtsps")


def _hwaccel(wanted: HwAccel, camera_id: str) -> HWAccel | None:
    if wanted is HwAccel.NONE:
        return None
    names = [HwAccel.CUDA, HwAccel.VAAPI] if wanted is HwAccel.AUTO else [wanted]
    for name in names:
        if _device_works(name.value):
            _say_once(camera_id, f"decodes with {name.value}")
            return HWAccel(name.value, allow_software_fallback=True)
    _say_once(camera_id, f"decodes in software: no {' or '.join(name.value for name in names)} here")
    return None


@functools.cache
def _device_works(name: str) -> bool:
    if name not in av.codec.hwaccel.hwdevices_available():
        return False
    try:
        HWAccel(name).create(av.Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError):
        return False
    return True


@functools.lru_cache(maxsize=1024)
def _say_once(camera_id: str, what: str) -> None:
    logger.info("camera %s %s", camera_id, what)
