"""What a frame does to all tracks, done to all at once: the numbers that the library has track by track.

A few objects a frame are little work and many calls; counted in arrays they are as much work and a fifth of the calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ultralytics.trackers.basetrack import TrackState
from ultralytics.utils.metrics import bbox_ioa

from stages.track.belt_track import MOST_SIGHTINGS, BeltTrack
from stages.values import Float32

Float = npt.NDArray[np.float64]


def corners(tracks: Sequence[BeltTrack]) -> Float32:
    """Boxes (N, 4) x1 y1 x2 y2 of tracks, all candidates or none: as seen those, the others as foreseen."""
    if tracks[0].mean is None:
        boxes = np.array([track.seen_tlwh for track in tracks])
    else:
        boxes = type(tracks[0]).tlwh_of(np.array([track.mean[:4] for track in tracks]))
    boxes[:, 2:] += boxes[:, :2]
    return boxes.astype(np.float32, copy=False)


def overlap_costs(tracks: Sequence[BeltTrack], detections: Sequence[BeltTrack]) -> Float32:
    """1 - IoU of each pair (N, M)."""
    if not tracks or not detections:
        return np.ones((len(tracks), len(detections)), np.float32)
    costs: Float32 = 1 - bbox_ioa(corners(tracks), corners(detections), iou=True)
    return costs


def take(motion: Any, pairs: Sequence[tuple[BeltTrack, BeltTrack]], frame_id: int) -> None:
    """Correct each track by the candidate it was matched with in this frame. All with one `motion` filter."""
    tracks = [track for track, _ in pairs]
    seen = type(tracks[0]).state_of(np.array([found.seen_tlwh for _, found in pairs]))
    mean, covariance = np.array([t.mean for t in tracks]), np.array([t.covariance for t in tracks])
    gap = np.array([frame_id - t.frame_id for t in tracks])
    before = mean[:, :2] - gap[:, None] * mean[:, 4:6]
    mean, covariance = motion.update(mean, covariance, seen)
    rows = [i for i, t in enumerate(tracks) if t.state == TrackState.Tracked and (t.sightings == 1 or t.startled)]
    if rows:
        _measure_velocity(mean, covariance, np.array(rows), before, seen, gap)
    mean[:, 2:4] = seen[:, 2:4]  # as in `BeltTrack`
    for (track, found), its_mean, its_covariance in zip(pairs, mean, covariance, strict=True):
        track.mean, track.covariance = its_mean, its_covariance
        _note(track, found, frame_id)


def _measure_velocity(
    mean: Float, covariance: Float, rows: npt.NDArray[Any], before: Float, seen: Float32, gap: npt.NDArray[Any]
) -> None:
    """See `BeltTrack`: two points tell a speed at once."""
    gaps = gap[rows, None]
    mean[rows, :2] = seen[rows, :2]
    mean[rows, 4:6] = (seen[rows, :2] - before[rows]) / gaps
    for axis in (0, 1):
        variance = covariance[rows, axis, axis]
        covariance[rows, axis + 4, axis + 4] = 2 * variance / gap[rows] ** 2
        covariance[rows, axis, axis + 4] = covariance[rows, axis + 4, axis] = variance / gap[rows]


def _note(track: BeltTrack, found: BeltTrack, frame_id: int) -> None:
    """Everything but the numbers: what `STrack.update` and `re_activate` set."""
    track.tracklet_len = track.tracklet_len + 1 if track.state == TrackState.Tracked else 0
    track.state = TrackState.Tracked
    track.is_activated = True
    track.frame_id = frame_id
    track.score, track.cls, track.idx = found.score, found.cls, found.idx
    track.sightings = min(track.sightings + 1, MOST_SIGHTINGS)
    track.startled = False


def without_doubles(tracked: list[Any], lost: list[Any]) -> tuple[list[Any], list[Any]]:
    """Of two that lie on one another, in sight and out of it, the one that has been seen for longer stays."""
    if not tracked or not lost:
        return tracked, lost
    doubles = np.argwhere(overlap_costs(tracked, lost) < DOUBLE_COST)
    if not len(doubles):
        return tracked, lost
    gone: tuple[set[int], set[int]] = set(), set()
    for p, q in doubles:
        is_older = _age(tracked[p]) > _age(lost[q])
        gone[is_older].add(q if is_older else p)
    return [t for i, t in enumerate(tracked) if i not in gone[0]], [t for i, t in enumerate(lost) if i not in gone[1]]


DOUBLE_COST = 0.15  # the library's


def _age(track: BeltTrack) -> int:
    return int(track.frame_id - track.start_frame)
