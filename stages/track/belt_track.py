"""One object's track as the library keeps it, with a speed measured at once and a size that follows what is seen."""

# mypy: allow-subclassing-any

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ultralytics.trackers import bot_sort, byte_tracker, oc_sort

from stages.values import Float32, Int32

Float = npt.NDArray[np.float64]

# The library's own annotations are narrower than its use (a track's `mean` is None for ever, they say).
STrack: Any = byte_tracker.STrack
BOTrack: Any = bot_sort.BOTrack
OCSortTrack: Any = oc_sort.OCSortTrack

MOST_SIGHTINGS = 255  # a byte in the checkpoint


class Boxes:
    """Detections in the shape the library asks for."""

    def __init__(self, xyxy: Float32, conf: Float32, cls: Int32) -> None:
        self.xyxy, self.conf, self.cls = xyxy, conf, cls

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: npt.NDArray[Any]) -> Boxes:
        return Boxes(self.xyxy[rows], self.conf[rows], self.cls[rows])

    @property
    def xywh(self) -> Float32:
        sides = self.xyxy[:, 2:] - self.xyxy[:, :2]
        return np.concatenate([self.xyxy[:, :2] + sides / 2, sides], axis=1)

    @property
    def tlwh(self) -> Float32:
        boxes = self.xywh.astype(np.float64)
        boxes[:, :2] -= boxes[:, 2:] / 2
        return boxes.astype(np.float32)


class BeltTrack(STrack):
    """A track whose speed is measured at its second sighting and whose size is the last one seen."""

    own_id = 0  # the camera's identity; 0 until the track is confirmed
    sightings = 0
    startled = False  # this frame's detections contradict the motion foreseen
    start_velocity: Float = np.zeros(2)  # pixels per frame
    keeps_aspect = True  # the state's third is width / height; else it is the width

    @property
    def seen_tlwh(self) -> Float32:
        """Of a candidate: the detection, left, top, width, height."""
        seen: Float32 = self._tlwh
        return seen

    def activate(self, kalman_filter: Any, frame_id: int) -> None:
        super().activate(kalman_filter, frame_id)
        self.sightings = 1
        self.mean[4:6] = self.start_velocity

    def update(self, new_track: Any, frame_id: int) -> None:
        gap = frame_id - self.frame_id
        before = self.mean[:2] - gap * self.mean[4:6]
        super().update(new_track, frame_id)
        seen = self.convert_coords(new_track.tlwh)
        if self.sightings == 1 or self.startled:
            measure_velocity(self.mean, self.covariance, before, seen, np.asarray(gap))
        take_size(self.mean, seen)
        self.note_sighting()

    def re_activate(self, new_track: Any, frame_id: int, new_id: bool = False) -> None:
        super().re_activate(new_track, frame_id, new_id)
        take_size(self.mean, self.convert_coords(new_track.tlwh))
        self.note_sighting()

    def note_sighting(self) -> None:
        """It was matched in this frame."""
        self.sightings = min(self.sightings + 1, MOST_SIGHTINGS)
        self.startled = False


def measure_velocity(
    mean: Float, covariance: Float, before: Float, seen: Float | Float32, gap: npt.NDArray[np.int_]
) -> None:
    """Set the speed of states (..., 8), `seen` (..., 4) `gap` (...) frames after they were at `before` (..., 2).

    The filter starts at speed 0 and would need a dozen frames to believe a fast belt: two points tell at once.
    """
    mean[..., :2] = seen[..., :2]
    mean[..., 4:6] = (seen[..., :2] - before) / gap[..., None]
    for axis in (0, 1):
        variance = covariance[..., axis, axis]
        covariance[..., axis + 4, axis + 4] = 2 * variance / gap**2
        covariance[..., axis, axis + 4] = covariance[..., axis + 4, axis] = variance / gap


def take_size(mean: Float, seen: Float | Float32) -> None:
    """Set the size of states (..., 8) to the one `seen` (..., 4).

    A part entering through the picture's edge grows within a few frames; the filter's aspect takes dozens.
    """
    mean[..., 2:4] = seen[..., 2:4]


class ByteTrack(BeltTrack):
    pass


class BotTrack(BeltTrack, BOTrack):
    keeps_aspect = False


class OcTrack(BeltTrack, OCSortTrack):
    pass
