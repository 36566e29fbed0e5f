"""Pictures of an RTSP camera, each as soon as its last packet is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from pipeline.ingest.address import read_secret
from pipeline.ingest.av_pictures import Pictures
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.capture_clock import CaptureClock
from pipeline.ingest.rtsp.auth import Login
from pipeline.ingest.rtsp.av_decoder import Decoder, Undecodable, VideoFrame
from pipeline.ingest.rtsp.connection import Patience, RtspConnection
from pipeline.ingest.rtsp.depacketizer import Hole, UnknownPacking
from pipeline.ingest.rtsp.errors import SourceDoubtful, SourceUnsupported
from pipeline.ingest.rtsp.receiver import Coded, Receiver
from pipeline.ingest.rtsp.sdp import Track
from pipeline.ingest.sampling import KeyframesOnly, RateSampler
from pipeline.ingest.source import (
    BEHIND,
    DECODE_ERROR,
    After,
    BadFrame,
    SourceError,
    SourceFrame,
    SourceLost,
    SourceRefused,
)

_PATIENCE = 0.9  # of the time after which the watchdog gives up, for a first picture


class RtspSource:
    """One run of one rtsp:// address over TCP; `turn` is as of RateSampler. Raises SourceUnsupported for the rest."""

    def __init__(
        self,
        settings: CameraSettings,
        turn: float = 0.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live = True
        self.codec = self.identity = ""
        self._settings = settings
        self._turn = turn
        self._wall = wall
        self._monotonic = monotonic
        self._cancelled = threading.Event()
        self._connection: RtspConnection | None = None
        self._track: Track | None = None

    # The life of a source

    def open(self) -> None:
        """Connects and has the camera play. Raises SourceLost, SourceRefused or SourceInvalid."""
        self.close()
        patience = Patience(self._settings.open_timeout_s, self._settings.longest_read_s)
        url = f"rtsp://{self._settings.url.place}"
        self._connection = RtspConnection(url, self._login(), self._name, patience)
        if self._cancelled.is_set():
            self._connection.cancel()
        self._track = self._connection.open()
        self.codec = self._track.codec.value

    def frames(self, after: After | None = None) -> Iterator[SourceFrame | BadFrame]:
        """Pictures in order, until `cancel`."""
        if self._connection is None or self._track is None:
            raise SourceLost(f"{self._name} is not open")
        return self._frames(self._connection, self._track)

    def cancel(self) -> None:
        """Ends `open` and `frames` at once."""
        self._cancelled.set()
        if (connection := self._connection) is not None:
            connection.cancel()

    def close(self) -> None:
        """Takes leave of the camera."""
        if self._connection is not None:
            self._connection.close()

    def _login(self) -> Login | None:
        settings = self._settings
        try:
            username, password = read_secret(settings.username_file), read_secret(settings.password_file)
        except OSError as exc:
            raise SourceRefused(f"{self._name}: cannot read {exc.filename}: {exc.strerror}") from None
        found = settings.url.login(username, password)
        return None if found is None else Login(*found)

    @property
    def _name(self) -> str:
        return str(self._settings.url)

    # Reading

    def _frames(self, connection: RtspConnection, track: Track) -> Iterator[SourceFrame | BadFrame]:
        settings = self._settings
        capture = CaptureClock(settings.camera_id, settings.max_clock_skew_s)
        sampler = RateSampler(settings.fps, self._turn)
        pictures, seen, minor = Pictures(), False, -1
        decoding = _Decoding(track, settings.threads, KeyframesOnly(settings.keyframes_only_behind_s), self._monotonic)
        for coded in self._coded(connection, track, decoding):
            arrived = self._wall()
            if isinstance(coded, Coded) and coded.camera_wall_s is not None:
                capture.reported(coded.camera_wall_s, coded.media_s, arrived)
            for item in decoding.take(coded):
                if isinstance(item, BadFrame):
                    if seen:  # what cannot be decoded before the first keyframe was never ours
                        minor += 1
                        yield item
                    continue
                seen, minor = True, minor + 1
                media = None if item.pts is None else item.pts / track.clock_hz
                if not sampler.take(arrived if media is None else media, arrived):
                    continue
                at, clock = capture.at(media, arrived)
                yield SourceFrame(pictures.of(item), at, clock, self._wall(), 0, minor, decoding.took_s)

    def _coded(self, connection: RtspConnection, track: Track, decoding: _Decoding) -> Iterator[Coded | Hole]:
        """Coded pictures as they come. Raises in time where none can be shown."""
        receiver, any_packet = Receiver(track), False
        limit_at = self._monotonic() + _PATIENCE * self._settings.longest_stall_s
        error: SourceError | None = None
        try:
            for is_rtcp, data in connection.packets(receiver.report):
                if not is_rtcp:
                    any_packet = True
                    yield from receiver.rtp(data)
                elif not receiver.rtcp(bytes(data), time.monotonic()):
                    error = SourceLost(f"{self._name}: the stream ended")
                if not decoding.has_shown and any_packet and self._monotonic() > limit_at:
                    error = SourceDoubtful(f"{self._name}: nothing to begin decoding with was sent")
                if error is not None:
                    break
        except UnknownPacking as exc:
            error = SourceUnsupported(f"{self._name} packs {track.codec} as {exc}")
        except SourceLost as exc:
            error = exc if any_packet else SourceDoubtful(str(exc))
        if error is not None:
            raise error


class _Decoding:
    """What is decoded and what is left out: after a loss or behind, nothing up to the next keyframe."""

    def __init__(
        self, track: Track, threads: int, keyframes_only: KeyframesOnly, monotonic: Callable[[], float]
    ) -> None:
        self._decoder = Decoder(track.codec, threads, track.parameter_sets)
        self._keyframes_only = keyframes_only
        self._monotonic = monotonic
        self._waits = True  # for a picture decoding can begin at
        self._brings_sets = self._needs_sets = False  # parameter sets of its own; those lost may have been others
        self._not_before = -(2**62)  # ticks: pictures shown before that one would need those that are missing
        self.has_shown = False
        self.took_s = 0.0  # the last decoding

    def take(self, coded: Coded | Hole) -> Iterator[VideoFrame | BadFrame]:
        """Pictures in the order they are shown."""
        if isinstance(coded, Hole):
            self._needs_sets = self._brings_sets
            yield from self._begin_anew()
            yield BadFrame(DECODE_ERROR)
        elif self._keyframes_only.skip(coded.media_s, self._monotonic(), coded.entry):
            yield from self._begin_anew()
            yield BadFrame(BEHIND)
        elif self._waits and not (coded.entry and (coded.sets or not self._needs_sets)):
            yield BadFrame(DECODE_ERROR)
        else:
            if self._waits:
                self._waits, self._needs_sets, self._not_before = False, False, coded.ticks
            elif coded.entry:  # none is shown before an earlier one: where it stands lower, the camera's clock was set
                self._not_before = min(self._not_before, coded.ticks)
            self._brings_sets = self._brings_sets or coded.sets
            yield from self._decoded(coded)

    def _begin_anew(self) -> Iterator[VideoFrame | BadFrame]:
        """Goes on at the next keyframe; what is still held was whole."""
        if self._waits:
            return
        self._waits = True
        for frame in self._decoder.restart():
            yield from self._checked(frame)

    def _decoded(self, coded: Coded) -> Iterator[VideoFrame | BadFrame]:
        started = self._monotonic()
        try:
            frames = self._decoder.decode(coded.data, coded.ticks)
        except Undecodable:
            yield from self._begin_anew()
            yield BadFrame(DECODE_ERROR)
            return
        self.took_s = self._monotonic() - started
        for frame in frames:
            yield from self._checked(frame)

    def _checked(self, frame: VideoFrame) -> Iterator[VideoFrame | BadFrame]:
        if frame.pts is not None and frame.pts < self._not_before:
            return
        if frame.is_corrupt:
            yield BadFrame(DECODE_ERROR)
            if not self._waits:
                yield from self._begin_anew()
            return
        self.has_shown = True
        yield frame
