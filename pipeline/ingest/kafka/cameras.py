"""The cameras of a topic as its reader knows them: which there are, who is paused, and what came of each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.ingest.camera_state import CameraState, CameraStatus, check_move
from pipeline.ingest.fps_gauge import FpsGauge
from stages.values import CameraId, Clock, Picture

ELSEWHERE_S = 60.0  # a camera that was in another partition so lately is in two; longer ago it has moved

OnState = Callable[[CameraId, CameraState, str], None]


@dataclass(slots=True)
class _Camera:
    since: float
    state: CameraState = CameraState.CONNECTING
    frames_in: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)  # refused since the last frame
    last_error: str | None = None
    last_error_at: float | None = None
    last_frame_at: float | None = None
    size_wh: tuple[int, int] | None = None
    seq: int = -1
    misplaced_at: float = 0.0
    came: bool = False  # a message of it came to this reader
    fps: FpsGauge = field(init=False)

    def __post_init__(self) -> None:
        self.fps = FpsGauge(self.since, least_s=1.0)


class TopicCameras:
    """Shared by the threads of a reader's partitions. `on_state` hears of every change, in order; must not block.

    Of several readers one tells it: that to which the camera's messages came, or while nobody saw any, the `first`.
    """

    def __init__(self, on_state: OnState, wall: Callable[[], float] = time.time, *, first: bool = True) -> None:
        self._on_state = on_state
        self._wall = wall
        self._first = first
        self._began_at = wall()
        self._cameras: dict[CameraId, _Camera] = {}
        self._paused: frozenset[CameraId] = frozenset()
        self._places: dict[CameraId, tuple[int, float]] = {}  # partition it was seen in last, and when
        self._changed = threading.Condition(threading.RLock())

    def apply(self, cameras: Mapping[CameraId, bool]) -> None:
        """These there are; True: it is paused."""
        with self._changed:
            for gone in self._cameras.keys() - cameras.keys():
                del self._cameras[gone]
            for camera_id in cameras:
                self._cameras.setdefault(camera_id, _Camera(self._wall()))
            self._paused = frozenset(camera_id for camera_id, paused in cameras.items() if paused)
            for camera_id, camera in self._cameras.items():
                paused = camera_id in self._paused
                if paused is not (camera.state is CameraState.PAUSED):
                    self._move(camera_id, CameraState.PAUSED if paused else CameraState.CONNECTING, "")
            self._changed.notify_all()

    def __contains__(self, camera_id: CameraId) -> bool:
        return camera_id in self._cameras

    def wait_while_paused(self, camera_id: CameraId, timeout_s: float) -> bool:
        """True once it is not; its partition waits with it, for its order is kept."""
        with self._changed:
            return self._changed.wait_for(lambda: camera_id not in self._paused, timeout_s)

    # Where they are

    def seen_elsewhere(self, camera_id: CameraId, partition: int) -> int | None:
        """Notes where a camera is; the other partition, if it was seen there within the last minute."""
        with self._changed:
            place, at = self._places.get(camera_id, (partition, 0.0))
            if place != partition and self._wall() - at < ELSEWHERE_S:
                return place
            self._places[camera_id] = (partition, self._wall())
            if (camera := self._cameras.get(camera_id)) is not None:
                camera.came = True
            return None

    def note_place(self, camera_id: CameraId, partition: int, at: float) -> None:
        """Another reader saw it there at that time."""
        with self._changed:
            if at > self._places.get(camera_id, (0, 0.0))[1]:
                self._places[camera_id] = (partition, at)

    # What came of them

    def number(self, camera_id: CameraId, picture: Picture) -> tuple[int, dict[str, int]]:
        """The next frame's seq, and what was refused of the camera since the frame before."""
        with self._changed:
            camera = self._cameras.setdefault(camera_id, _Camera(self._wall()))
            camera.came = True
            camera.seq += 1
            camera.frames_in += 1
            camera.last_frame_at = self._wall()
            camera.size_wh = (picture.width, picture.height)
            untold, camera.untold = dict(camera.untold), Counter()
            self._move(camera_id, CameraState.RUNNING, f"{picture.width}x{picture.height}, clock {Clock.MESSAGE}")
            return camera.seq, untold

    def refused(self, camera_id: CameraId, code: str, why: str) -> None:
        """A message of it gave no picture."""
        with self._changed:
            camera = self._cameras.get(camera_id)
            if camera is None:
                return
            camera.seq += 1
            camera.refused[code] += 1
            camera.untold[code] += 1
            camera.last_error, camera.last_error_at = why, self._wall()

    def misplaced(self, camera_id: CameraId, why: str) -> None:
        """It is in two partitions: said at most once a minute; in the one it runs on."""
        with self._changed:
            camera = self._cameras.get(camera_id)
            if camera is not None and self._wall() - camera.misplaced_at >= ELSEWHERE_S:
                camera.misplaced_at = self._wall()
                self._on_state(camera_id, CameraState.FAILED, why)

    def held(self, partition: int, why: str) -> None:
        """The partition stands still; its cameras say so, and those that nobody saw yet."""
        with self._changed:
            for camera_id, camera in self._cameras.items():
                if self._places.get(camera_id, (partition, 0.0))[0] == partition:
                    camera.last_error, camera.last_error_at = why, self._wall()

    def away(self, why: str) -> None:
        """The brokers do not answer."""
        with self._changed:
            for camera_id, camera in self._cameras.items():
                camera.last_error, camera.last_error_at = why, self._wall()
                if camera.state in (CameraState.CONNECTING, CameraState.RUNNING):
                    self._move(camera_id, CameraState.RECONNECTING, why)

    def back(self) -> None:
        """They do again; whether pictures come is still to be seen."""
        with self._changed:
            for camera_id, camera in self._cameras.items():
                if camera.state is CameraState.RECONNECTING:
                    self._move(camera_id, CameraState.CONNECTING, "")

    def _move(self, camera_id: CameraId, state: CameraState, why: str) -> None:
        camera = self._cameras[camera_id]
        if camera.state is state or (camera.state is CameraState.PAUSED and camera_id in self._paused):
            return
        check_move(camera.state, state)
        camera.state, camera.since = state, self._wall()
        if camera.came or (self._first and not self._is_with_another(camera_id)):
            self._on_state(camera_id, state, why)

    def _is_with_another(self, camera_id: CameraId) -> bool:
        """True where another reader saw it lately, and since this one began: who saw it earlier may be gone."""
        seen_at = self._places.get(camera_id, (0, 0.0))[1]
        return seen_at > max(self._began_at, self._wall() - ELSEWHERE_S)

    def seen(self) -> set[CameraId]:
        """Those of which a message came to this reader."""
        with self._changed:
            return {camera_id for camera_id, camera in self._cameras.items() if camera.frames_in or camera.refused}

    def status(self, camera_id: CameraId) -> CameraStatus:
        """How it does now."""
        with self._changed:
            camera = self._cameras[camera_id]
            camera.fps.measure(self._wall(), camera.frames_in)
            return CameraStatus(
                camera_id=camera_id,
                state=camera.state,
                since=camera.since,
                frames_in=camera.frames_in,
                fps_in=camera.fps.value,
                dropped=dict(camera.refused),
                last_error=camera.last_error,
                last_error_at=camera.last_error_at,
                last_frame_at=camera.last_frame_at,
                clock=Clock.MESSAGE if camera.frames_in else None,
                size_wh=camera.size_wh,
            )
