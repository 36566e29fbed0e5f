"""One camera: a decode thread that connects, reads and reconnects, and a watchdog outside it."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from pipeline.ingest.address import mask
from pipeline.ingest.av_source import AvSource
from pipeline.ingest.backoff import backoff_delays
from pipeline.ingest.camera_settings import CameraSettings, HwAccel, Pace, RtspReader, Transport
from pipeline.ingest.camera_state import ALLOWED, FINAL, CameraState, CameraStatus, check_move
from pipeline.ingest.fps_gauge import FpsGauge
from pipeline.ingest.handoff import Handoff, HandoffClosed, OnFull, UnmadeFrame
from pipeline.ingest.numbering import Numbering, StoredPlace
from pipeline.ingest.reader import Phase, Reader
from pipeline.ingest.rtsp.choice import AutoSource, Choice
from pipeline.ingest.rtsp.source import RtspSource
from pipeline.ingest.source import (
    BadFrame,
    Source,
    SourceError,
    SourceFrame,
    SourceInvalid,
    SourceRefused,
    UnmadePicture,
)
from pipeline.observe.logs import bind_log_context
from stages.values import CameraId, Clock, EndOfStream, Frame

__all__ = [
    "ALLOWED", "FINAL", "Camera", "CameraSettings", "CameraState", "CameraStatus", "HwAccel", "Pace", "SourceMaker",
    "Transport", "make_handoff", "make_source",
]  # fmt: skip

logger = logging.getLogger(__name__)

MOST_HUNG_THREADS = 3  # per camera; with so many calls that do not return, one more would not either
_REFUSED_WAIT_S = 5.0  # a wrong password does not get right by asking often, and cameras lock accounts out

OnState = Callable[[CameraId, CameraState, str], None]


class SourceMaker:
    """Makes the sources of one camera, one after another: what one finds out about the camera, the next knows."""

    def __init__(self, turn: float = 0.0) -> None:
        """`turn`: when a live one's pictures are taken, see `Turns`."""
        self._turn = turn
        self._choice = Choice()

    def __call__(self, settings: CameraSettings) -> Source:
        """The source an address asks for; not opened yet."""
        if settings.topic is not None:
            raise SourceInvalid(f"{settings.url} is read with all its topic, not by itself")
        if settings.url.scheme == "file" and Path(settings.url.path).is_dir():
            # Only here, for a camera's process needs no OpenCV.
            from pipeline.ingest.image_folder import ImageFolderSource

            return ImageFolderSource(settings)
        direct, ffmpeg = partial(RtspSource, settings, self._turn), partial(AvSource, settings, self._turn)
        if settings.rtsp_reader is RtspReader.FFMPEG or not settings.is_for_direct_reader:
            return ffmpeg()
        return (
            direct()
            if settings.rtsp_reader is RtspReader.DIRECT
            else AutoSource(settings, self._choice, direct, ffmpeg)
        )


def make_source(settings: CameraSettings) -> Source:
    """The source an address asks for, where one is all that is wanted; not opened yet."""
    return SourceMaker()(settings)


def make_handoff(settings: CameraSettings) -> Handoff:
    """The hand-over an address asks for: freshest wins where it is live, nothing lost where it can be read again."""
    return Handoff(settings.buffer_frames, OnFull.DROP_OLDEST if settings.is_live else OnFull.WAIT)


class Camera:
    """Puts a camera's frames into `handoff`, whatever happens to the camera.

    `on_state` is told of every change of state, in order, from any thread and under a lock: it must not block.
    `stored` is the last position published; live epochs go on above it, files behind it where it is of the same run
    (`run_id`, kept with the settings' `resume`). An EndOfStream is the last thing put, and the hand-over is closed.
    """

    def __init__(
        self,
        settings: CameraSettings,
        handoff: Handoff,
        *,
        open_source: Callable[[CameraSettings], Source] | None = None,
        on_state: OnState | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
        stored: StoredPlace | None = None,
        run_id: str | None = None,
    ) -> None:
        if not settings.camera_id:
            raise ValueError("a camera needs a name: camera_id is empty")
        self.run_id = run_id or ("" if settings.resume else uuid.uuid4().hex)
        self._log = logging.LoggerAdapter(logger, {"camera": settings.camera_id})  # on whichever thread it speaks
        self._settings = settings
        self._handoff = handoff
        self._open_source = open_source or SourceMaker()
        self._on_state = on_state
        self._clock = clock
        self._wall = wall
        self._wait = wait
        self._lock = threading.RLock()
        self._state = CameraState.CONNECTING
        self._since = wall()
        self._running_from: float | None = None
        self._last_error: str | None = None
        self._last_error_at: float | None = None
        self._last_frame_at: float | None = None
        self._clock_of_newest: Clock | None = None
        self._size_wh: tuple[int, int] | None = None
        self._frames_in = 0
        self._fps = FpsGauge(clock())
        self._reconnects = 0
        self._numbering = Numbering(stored, self.run_id, wall)
        self._delays = self._fresh_delays()
        self._reader: Reader | None = None  # the one that may speak; any other is a leftover
        self._readers_made = 0
        self._hung: list[Reader] = []
        self._told_of_hung = False

    # What its owner calls

    @property
    def camera_id(self) -> CameraId:
        """Its name."""
        return self._settings.camera_id

    def start(self) -> None:
        """Starts reading; returns at once."""
        with self._lock:
            if self._reader is None and self._state is CameraState.CONNECTING:
                self._launch(delay_s=0.0)

    def pause(self) -> None:
        """Stops giving frames. A live camera is let go of, a file waits where it is. Nothing where it is over."""
        with self._lock:
            if self._state in FINAL or self._state is CameraState.PAUSED:
                return
            self._move(CameraState.PAUSED, "paused")
            if self._reader is None:
                return
            if self._settings.is_live:
                self._let_go(self._reader)
            else:
                self._reader.hold()

    def resume(self) -> None:
        """Goes on after a pause: live in a new epoch, a file with the next frame."""
        with self._lock:
            if self._state is not CameraState.PAUSED:
                return
            self._move(CameraState.CONNECTING, "resumed")
            if self._reader is None:
                self._launch(delay_s=0.0)
            else:
                self._reader.go_on()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ends for good; returns within about `timeout_s`, even in a call that hangs: True if its thread has ended.

        Puts EndOfStream(reason="stopped") behind what the hand-over still holds, and closes it.
        """
        with self._lock:
            reader = self._reader
            if self._state not in FINAL:
                self._end(CameraState.ENDED, "stopped", None)
            threads = [r for r in (reader, *self._hung) if r is not None]
        deadline = self._clock() + timeout_s
        for leftover in threads:
            leftover.cancel()
        ended = [leftover.join(max(0.0, deadline - self._clock())) for leftover in threads]
        if not all(ended):
            self._log.warning("camera %s: stopped, but a call to its source does not return", self.camera_id)
        return all(ended)

    def abandon(self, timeout_s: float = 5.0) -> None:
        """Ends without an EndOfStream: another one took its place and reads the same again."""
        self._handoff.close()
        self.stop(timeout_s)

    def tick(self) -> None:
        """The watchdog; call it about once a second from outside the decode thread."""
        with self._lock:
            now = self._clock()
            self._fps.measure(now, self._frames_in)
            if self._reader is not None:
                self._watch(self._reader, now)
            elif self._readers_made and self._state in (CameraState.CONNECTING, CameraState.RECONNECTING):
                self._launch(next(self._delays))

    def status(self) -> CameraStatus:
        """How it does now."""
        with self._lock:
            return CameraStatus(
                camera_id=self.camera_id,
                state=self._state,
                since=self._since,
                frames_in=self._frames_in,
                fps_in=self._fps.value if self._state is CameraState.RUNNING else 0.0,
                dropped=self._handoff.drop_counts(),
                last_error=self._last_error,
                last_error_at=self._last_error_at,
                last_frame_at=self._last_frame_at,
                clock=self._clock_of_newest,
                size_wh=self._size_wh,
                epoch=self._numbering.epoch,
                reconnects=self._reconnects,
                hung_threads=len(self._hung),
            )

    # State; all of it under the lock

    def _move(self, state: CameraState, why: str) -> None:
        if state is self._state:
            return
        check_move(self._state, state)
        level = logging.WARNING if state is CameraState.RECONNECTING else logging.INFO
        level = logging.ERROR if state is CameraState.FAILED else level
        self._log.log(level, "camera %s is %s: %s", self.camera_id, state, why)
        self._state, self._since = state, self._wall()
        self._running_from = self._clock() if state is CameraState.RUNNING else None
        if self._on_state is not None:
            self._on_state(self.camera_id, state, why)

    def _end(self, state: CameraState, why: str, error: SourceError | None) -> None:
        self._reader = None
        self._move(state, why)
        try:
            self._handoff.put(EndOfStream(self.camera_id, self._numbering.last_seq, why, self._numbering.last))
        except HandoffClosed:
            self._log.debug("camera %s: nobody waits for its end", self.camera_id)
        self._handoff.close(error)

    def _launch(self, delay_s: float) -> None:
        """Starts a thread, unless too many hang already; `tick` tries again then."""
        self._hung = [reader for reader in self._hung if reader.is_alive]
        if len(self._hung) >= MOST_HUNG_THREADS:
            if not self._told_of_hung:
                said = "camera %s: %d calls to it do not return; waiting for one"
                self._log.error(said, self.camera_id, len(self._hung))
            self._told_of_hung = True
            return
        self._told_of_hung = False
        self._readers_made += 1
        self._reader = Reader(f"camera-{self.camera_id}-{self._readers_made}", self._clock, delay_s)
        self._reader.start(self._work)

    def _let_go(self, reader: Reader) -> None:
        """Its word counts no more from here on; the thread ends by itself, or stays on the list of the hung."""
        reader.cancel()
        self._hung.append(reader)
        self._reader = None

    def _watch(self, reader: Reader, now: float) -> None:
        limit_s = self._settings.longest_stall_s
        if reader.phase is Phase.OPENING:
            limit_s += self._settings.open_timeout_s
        elif reader.phase is not Phase.READING or not self._settings.is_live:
            return
        if (silent_s := now - reader.phase_from) <= limit_s:
            return
        what = "no connection" if reader.phase is Phase.OPENING else "no picture"
        why = f"{self._settings.url}: {what} for {silent_s:.1f} s"
        self._let_go(reader)
        self._lost(why)
        self._launch(next(self._delays))

    def _lost(self, why: str) -> None:
        if self._running_from is not None and self._clock() - self._running_from >= self._settings.stable_after_s:
            self._delays = self._fresh_delays()
        self._last_error, self._last_error_at = why, self._wall()
        self._reconnects += 1
        if self._state is not CameraState.PAUSED:
            self._move(CameraState.RECONNECTING, why)

    def _fresh_delays(self) -> Iterator[float]:
        return backoff_delays(self._settings.first_backoff_s, self._settings.max_backoff_s)

    # What the decode thread does

    def _work(self, reader: Reader) -> None:
        bind_log_context(camera=self.camera_id)
        try:
            while not self._wait(reader.cancelled, reader.delay_s) and self._read(reader):
                pass
        except HandoffClosed:
            self._log.debug("camera %s: its hand-over was closed", self.camera_id)
        except Exception as exc:  # the top of the thread: whatever it is, it must be heard
            self._log.error(
                "camera %s: an error of ours ended it\n%s", self.camera_id, self._hidden(traceback.format_exc())
            )
            self._finish(reader, CameraState.FAILED, SourceError(self._hidden(f"{type(exc).__name__}: {exc}")))

    def _read(self, reader: Reader) -> bool:
        """One connection, to its end. True if there is to be another, after `reader.delay_s`."""
        try:
            self._read_through(reader)
        except SourceInvalid as exc:
            return self._finish(reader, CameraState.FAILED, exc)
        except SourceError as exc:
            return self._try_again(reader, exc)
        return self._finish(reader, CameraState.ENDED, None)

    def _read_through(self, reader: Reader) -> None:
        reader.enter(Phase.OPENING)
        with closing(self._open_source(self._settings)) as source:
            reader.adopt(source)
            source.open()
            self._new_run(reader, source)
            reader.enter(Phase.READING)
            for item in source.frames(self._numbering.after):
                if not self._take(reader, source, item):
                    return
        reader.enter(Phase.BETWEEN)

    def _new_run(self, reader: Reader, source: Source) -> None:
        with self._lock:
            if self._reader is reader:
                self._numbering.new_run(source)

    def _take(self, reader: Reader, source: Source, item: SourceFrame | BadFrame) -> bool:
        """Hands one item over; False if this reader's word counts no more."""
        reader.enter(Phase.DELIVERING)
        while True:
            reader.wait_while_held()
            with self._lock:
                if self._reader is not reader:
                    return False
                if reader.is_held:  # a pause came in between
                    continue
                if isinstance(item, BadFrame):
                    self._numbering.lost(item.count)
                    self._handoff.count_drop(item.reason, item.count)
                    break
                frame = self._frame_of(source, item)
                if source.live:
                    self._handoff.put(frame)  # never blocks; under the lock no leftover puts behind its successor
                    break
            self._handoff.put(frame)
            break
        reader.back_to_reading(was_picture=isinstance(item, SourceFrame))
        return True

    def _frame_of(self, source: Source, item: SourceFrame) -> Frame | UnmadeFrame:
        image = item.image
        self._move(CameraState.RUNNING, f"{image.width}x{image.height}, clock {item.clock}")
        self._frames_in += 1
        self._last_frame_at = self._wall()
        self._clock_of_newest, self._size_wh = item.clock, (image.width, image.height)
        place = self._numbering.next(source, item)
        told = (self.camera_id, place.seq, item.captured_at, item.clock, place.position)
        if isinstance(image, UnmadePicture):
            return UnmadeFrame(*told, image, item.received_at, place.follows, item.decode_s)
        return Frame(*told, image, item.received_at, follows=place.follows, decode_s=item.decode_s)

    def _try_again(self, reader: Reader, error: SourceError) -> bool:
        with self._lock:
            if self._reader is not reader:
                return False
            self._lost(str(error))
            reader.enter(Phase.BETWEEN)
            reader.delay_s = next(self._delays)
            if isinstance(error, SourceRefused):
                reader.delay_s = max(reader.delay_s, min(_REFUSED_WAIT_S, self._settings.max_backoff_s))
            self._log.info("camera %s: next try in %.1f s (%s)", self.camera_id, reader.delay_s, error)
            return True

    def _finish(self, reader: Reader, state: CameraState, error: SourceError | None) -> bool:
        with self._lock:
            if self._reader is reader:
                if error is not None:
                    self._last_error, self._last_error_at = str(error), self._wall()
                self._end(state, str(error) if error else "end of stream", error)
        return False

    def _hidden(self, text: str) -> str:
        return mask(text, self._settings.url.secrets())
