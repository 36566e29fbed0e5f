"""The library's trackers, taught what a belt needs: first sightings, lost frames, sudden stops, small checkpoints."""

# mypy: allow-subclassing-any

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ultralytics.trackers import bot_sort, byte_tracker, oc_sort
from ultralytics.trackers.basetrack import TrackState

from stages.geometry import box_iou
from stages.track.belt_track import BeltTrack, BotTrack, Boxes, ByteTrack, OcTrack
from stages.track.checkpoint import pack_tracks, round_state, unpack_tracks
from stages.track.motion_filter import AspectHeightFilter, WidthHeightFilter, predict
from stages.track.settings import TrackerKind, TrackSettings
from stages.values import Detections, Float32

Float = npt.NDArray[np.float64]

BYTETracker: Any = byte_tracker.BYTETracker
BOTSORT: Any = bot_sort.BOTSORT
OCSORT: Any = oc_sort.OCSORT

STILL_WEIGHT = 0.9  # a track that stood still is believed a little less than one that moved as foreseen
SIGHTINGS_TO_TEACH = 3  # a speed measured over fewer is mostly noise
STARTLING_IOU = 0.4  # a track whose speed is known meets its next sighting far better than this
AGREE_SHARE, AGREE_PX = 0.3, 2.0  # how far a track's speed may lie from the common one, of it and at least


class Associator(Protocol):
    """A library tracker with the additions below; one per camera."""

    def follow(self, detections: Detections) -> list[Any]:
        """Confirmed tracks seen in this frame; each has `idx` (row of the detections) and a settable `own_id`."""

    def coast(self, frames: int) -> None:
        """Let the tracks move on over frames nobody saw."""

    def drop_all(self) -> None:
        """Forget every track; the common motion stays."""

    def checkpoint(self) -> dict[str, Any]:
        """Plain data to restore from."""

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Take over a checkpoint's tracks. Called on a fresh associator. Raises ValueError if it cannot be read."""


class _BeltTracker(BYTETracker):
    """What the three trackers share beyond the library."""

    track_class: type[BeltTrack] = ByteTrack
    tracked_stracks: list[Any]
    lost_stracks: list[Any]
    keeps_history = False  # past sightings belong to the state
    still_when_lost = slice(7, 8)  # rates in the state that a lost track loses: its height's

    def __init__(self, settings: TrackSettings) -> None:
        super().__init__(_library_args(settings))
        self._settings = settings
        self.velocity: Float = np.array(settings.start_velocity_px, np.float64)

    def follow(self, detections: Detections) -> list[Any]:
        self.update(Boxes(detections.xyxy, detections.score, detections.class_id))
        # The library keeps a thousand removed tracks, and a removed one in the pool for a frame: neither is wanted.
        self.lost_stracks = [t for t in self.lost_stracks if t.state == TrackState.Lost]
        self.removed_stracks.clear()
        round_state(self._all_tracks())
        seen = [t for t in self.tracked_stracks if t.is_activated and t.frame_id == self.frame_id]
        self._learn_common_motion(seen)
        return seen

    def coast(self, frames: int) -> None:
        self.frame_id += frames
        self._predict(self._all_tracks(), frames)

    def drop_all(self) -> None:
        self.tracked_stracks, self.lost_stracks = [], []

    def checkpoint(self) -> dict[str, Any]:
        tracks = pack_tracks(self._all_tracks(), self.keeps_history)
        return {"frame": self.frame_id, "velocity": [float(v) for v in self.velocity], **tracks}

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        tracks = unpack_tracks(checkpoint, self.keeps_history, self._blank_track)
        try:
            self.frame_id = int(checkpoint["frame"])
            self.velocity = np.array(checkpoint["velocity"], np.float64).reshape(2)
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"not a tracker checkpoint: {exc!r}") from exc
        for number, track in enumerate(tracks, start=1):
            track.track_id = -number  # the library's own ids count up from 1
        self.tracked_stracks = [t for t in tracks if t.state == TrackState.Tracked]
        self.lost_stracks = [t for t in tracks if t.state == TrackState.Lost]

    def init_track(self, results: Boxes, img: Any = None) -> list[BeltTrack]:
        """The library's hook: one candidate track per detection."""
        boxes = np.column_stack([results.xywh, np.arange(len(results))])
        rows = zip(boxes, results.conf, results.cls, strict=True)
        tracks = [self.track_class(box, score, cls) for box, score, cls in rows]
        for track in tracks:
            track.start_velocity = self.velocity
        return tracks

    def multi_predict(self, tracks: list[BeltTrack]) -> None:
        """The library's hook: move the pool one frame on; unconfirmed tracks, which it leaves standing, move too."""
        self._predict([*tracks, *(t for t in self.tracked_stracks if not t.is_activated)], 1)

    def get_kalmanfilter(self) -> Any:
        """The library's hook."""
        return AspectHeightFilter()

    def _format_output(self) -> Float32:
        """The library's hook: what `update` returns, which nobody here looks at; the tracks say all."""
        return np.zeros((0, 8), np.float32)

    def _predict(self, tracks: list[BeltTrack], frames: int) -> None:
        predict(self.kalman_filter, tracks, frames, self.still_when_lost)

    def get_dists(self, tracks: list[BeltTrack], detections: list[BeltTrack]) -> Float32:
        """The library's hook: cost of each pair, 0..1; rows whose speed cannot be trusted get the wide comparison."""
        costs: Float32 = super().get_dists(tracks, detections)
        if not tracks or not detections:
            return costs
        rows = [i for i, t in enumerate(tracks) if t.sightings == 1] + self._startled(tracks, costs)
        if rows:
            costs[rows] = self._wide_costs([tracks[i] for i in rows], detections)
        self._put_lost_last(tracks, costs)
        return costs

    def _startled(self, tracks: list[BeltTrack], costs: Float32) -> list[int]:
        """Rows of tracks not met where foreseen, if that holds for most tracks and most detections.

        Then the belt stopped, started or turned round. Where most detections lie as foreseen, a track not met is
        simply not seen.
        """
        moving = [i for i, t in enumerate(tracks) if t.sightings > 1 and t.state == TrackState.Tracked]
        missed = [i for i in moving if costs[i].min() > 1 - STARTLING_IOU]
        explained = np.count_nonzero(costs.min(axis=0) <= 1 - STARTLING_IOU)
        if 2 * len(missed) <= len(moving) or 2 * explained >= costs.shape[1]:
            return []
        for i in missed:
            tracks[i].startled = True
        return missed

    def _put_lost_last(self, tracks: list[BeltTrack], costs: Float32) -> None:
        """A lost track must not take what a track in sight would: it may be a part long gone that stood just there."""
        lost = [i for i, t in enumerate(tracks) if t.state != TrackState.Tracked]
        claims = [row.argmin() for i, row in enumerate(costs) if i not in lost and row.min() < self.args.match_thresh]
        costs[np.ix_(lost, claims)] = 1

    def _wide_costs(self, tracks: list[BeltTrack], detections: list[BeltTrack]) -> Float32:
        margin = self._settings.first_match_margin
        foreseen = np.array([t.xyxy for t in tracks])
        moved = np.array([(self.frame_id - t.frame_id) * t.mean[4:6] for t in tracks])
        seen = _widened(np.array([d.xyxy for d in detections]), margin)
        as_foreseen = box_iou(_widened(foreseen, margin), seen)
        as_standing = box_iou(_widened(foreseen - np.tile(moved, 2), margin), seen)
        costs: Float32 = 1 - np.maximum(as_foreseen, np.float32(STILL_WEIGHT) * as_standing)
        return costs

    def _learn_common_motion(self, seen: list[BeltTrack]) -> None:
        velocities = np.array([t.mean[4:6] for t in seen if t.sightings >= SIGHTINGS_TO_TEACH])
        if not self._settings.common_motion or not len(velocities):
            return
        common = _median(velocities)
        allowed = max(AGREE_PX, AGREE_SHARE * float(np.linalg.norm(common)))
        agreeing = np.linalg.norm(velocities - common, axis=1) <= allowed
        if 2 * np.count_nonzero(agreeing) > len(velocities):
            self.velocity = common

    def _blank_track(self) -> BeltTrack:
        track = self.track_class(np.array([0, 0, 1, 1, 0], np.float32), 0.0, 0)
        track.kalman_filter = self.kalman_filter
        return track

    def _all_tracks(self) -> list[Any]:
        return [*self.tracked_stracks, *self.lost_stracks]


class _BotTracker(_BeltTracker, BOTSORT):
    track_class = BotTrack
    still_when_lost = slice(6, 8)

    def get_kalmanfilter(self) -> Any:
        """The library's hook."""
        return WidthHeightFilter()


class _OcTracker(_BeltTracker, OCSORT):
    track_class = OcTrack
    keeps_history = True


_KINDS: dict[TrackerKind, type[_BeltTracker]] = {
    TrackerKind.BYTETRACK: _BeltTracker,
    TrackerKind.BOTSORT: _BotTracker,
    TrackerKind.OCSORT: _OcTracker,
}


def make_associator(settings: TrackSettings) -> Associator:
    """A fresh tracker of the kind the settings name."""
    return _KINDS[settings.kind](settings)


def _library_args(settings: TrackSettings) -> SimpleNamespace:
    return SimpleNamespace(
        track_high_thresh=settings.high_score,
        track_low_thresh=settings.low_score,
        new_track_thresh=settings.new_track_score,
        track_buffer=settings.max_lost_frames,
        match_thresh=1 - settings.min_iou,
        fuse_score=settings.fuse_score,
        gmc_method="none",  # the cameras stand still
        with_reid=False,  # parts of one product look alike
        proximity_thresh=0.5,
        appearance_thresh=0.8,
        use_byte=True,
    )


def _median(points: Float) -> Float:
    """(2,) of points (N, 2), axis by axis; `np.median` takes five times as long over so few."""
    ordered = np.sort(points, axis=0)
    middle = len(points) // 2
    median: Float = ordered[middle] if len(points) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return median


def _widened(boxes: Float, margin: float) -> Float:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - margin * sides, boxes[:, 2:] + margin * sides], axis=1)
