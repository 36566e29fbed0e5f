"""What a frame does to all tracks, done to all at once: the numbers that the library has track by track.

A few objects a frame are little work and many calls; counted in arrays they are as much work and a fifth of the calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ultralytics.trackers.basetrack import TrackState
from ultralytics.trackers.utils.stracks import remove_duplicate_stracks
from ultralytics.utils.metrics import bbox_ioa

from stages.track.belt_track import BeltTrack, measure_velocity, take_size
from stages.values import Float32

Float = npt.NDArray[np.float64]

DOUBLE_COST = 0.15  # of two tracks that are one, at most; the library's


def corners(tracks: Sequence[BeltTrack]) -> Float32:
    """Boxes (N, 4) x1 y1 x2 y2 of tracks, all candidates or none: as seen those, the others as foreseen."""
    if tracks[0].mean is None:
        boxes = np.array([track.seen_tlwh for track in tracks])
    else:
        boxes = _boxes(tracks[0], np.array([track.mean[:4] for track in tracks]))
    boxes[:, 2:] += boxes[:, :2]
    return boxes.astype(np.float32, copy=False)


def overlap_costs(tracks: Sequence[BeltTrack], detections: Sequence[BeltTrack]) -> Float32:
    """1 - IoU of each pair (N, M)."""
    if not tracks or not detections:
        return np.ones((len(tracks), len(detections)), np.float32)
    costs: Float32 = 1 - bbox_ioa(corners(tracks), corners(detections), iou=True)
    return costs


def take(motion: Any, pairs: Sequence[tuple[BeltTrack, BeltTrack]], frame_id: int) -> None:
    """`BeltTrack.update` or `re_activate` of each track by its candidate, in this frame; one `motion` for all."""
    tracks = [track for track, _ in pairs]
    seen = _states(tracks[0], np.array([found.seen_tlwh for _, found in pairs]))
    mean, covariance = np.array([t.mean for t in tracks]), np.array([t.covariance for t in tracks])
    gap = np.array([frame_id - t.frame_id for t in tracks])
    before = mean[:, :2] - gap[:, None] * mean[:, 4:6]
    mean, covariance = motion.update(mean, covariance, seen)
    rows = [i for i, t in enumerate(tracks) if t.state == TrackState.Tracked and (t.sightings == 1 or t.startled)]
    if rows:
        states = mean[rows], covariance[rows]
        measure_velocity(*states, before[rows], seen[rows], gap[rows])
        mean[rows], covariance[rows] = states
    take_size(mean, seen)
    for (track, found), its_mean, its_covariance in zip(pairs, mean, covariance, strict=True):
        track.mean, track.covariance = its_mean, its_covariance
        _note(track, found, frame_id)


def _note(track: BeltTrack, found: BeltTrack, frame_id: int) -> None:
    """Everything but the numbers."""
    track.tracklet_len = track.tracklet_len + 1 if track.state == TrackState.Tracked else 0
    track.state = TrackState.Tracked
    track.is_activated = True
    track.frame_id = frame_id
    track.score, track.cls, track.idx = found.score, found.cls, found.idx
    track.note_sighting()


def _boxes(kind: BeltTrack, states: Float) -> Float:
    """Left, top, width, height of states (N, 4): the library's `tlwh` for many."""
    boxes = states.copy()
    if kind.keeps_aspect:
        boxes[:, 2] *= boxes[:, 3]
    boxes[:, :2] -= boxes[:, 2:] / 2
    return boxes


def _states(kind: BeltTrack, boxes: Float32) -> Float32:
    """The other way round: the library's `convert_coords` for many."""
    states = boxes.copy()
    states[:, :2] += states[:, 2:] / 2
    if kind.keeps_aspect:
        states[:, 2] /= states[:, 3]
    return states


def without_doubles(tracked: list[Any], lost: list[Any]) -> tuple[list[Any], list[Any]]:
    """The library's, which looks at one track after another, only where there is a double."""
    if not (overlap_costs(tracked, lost) < DOUBLE_COST).any():
        return tracked, lost
    left: tuple[list[Any], list[Any]] = remove_duplicate_stracks(tracked, lost, DOUBLE_COST)
    return left
