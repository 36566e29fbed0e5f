"""How unlike a track and a detection are on a belt: what is added to the overlap of where a track is foreseen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ultralytics.trackers.basetrack import TrackState

from stages.geometry import box_iou
from stages.track.at_once import corners
from stages.track.belt_track import BeltTrack
from stages.values import Float32

Float = npt.NDArray[np.float64]

STILL_WEIGHT = 0.9  # a track that stood still is believed a little less than one that moved as foreseen
STARTLING_IOU = 0.4  # a track whose speed is known meets its next sighting far better than this


def startled(tracks: Sequence[BeltTrack], costs: Float32) -> list[int]:
    """Rows of tracks not met where foreseen, if that holds for most tracks and most detections; they are marked so.

    Then the belt stopped, started or turned round. Where most detections lie as foreseen, a track not met is simply not
    seen.
    """
    moving = [i for i, t in enumerate(tracks) if t.sightings > 1 and t.state == TrackState.Tracked]
    best = costs.min(axis=1)
    missed = [i for i in moving if best[i] > 1 - STARTLING_IOU]
    explained = np.count_nonzero(costs.min(axis=0) <= 1 - STARTLING_IOU)
    if 2 * len(missed) <= len(moving) or 2 * explained >= costs.shape[1]:
        return []
    for i in missed:
        tracks[i].startled = True
    return missed


def wide_costs(tracks: Sequence[BeltTrack], detections: Sequence[BeltTrack], frame_id: int, margin: float) -> Float32:
    """Of tracks whose speed cannot be trusted: boxes widened by `margin` of their sides, as foreseen or standing."""
    foreseen = corners(tracks).astype(np.float64)
    moved = np.array([(frame_id - t.frame_id) * t.mean[4:6] for t in tracks])
    seen = _widened(corners(detections).astype(np.float64), margin)
    as_foreseen = box_iou(_widened(foreseen, margin), seen)
    as_standing = box_iou(_widened(foreseen - np.tile(moved, 2), margin), seen)
    costs: Float32 = 1 - np.maximum(as_foreseen, np.float32(STILL_WEIGHT) * as_standing)
    return costs


def put_lost_last(tracks: Sequence[BeltTrack], costs: Float32, most: float) -> None:
    """A lost track must not take what a track in sight would: it may be a part long gone that stood just there."""
    lost = [i for i, t in enumerate(tracks) if t.state != TrackState.Tracked]
    if not lost:
        return
    claims = [row.argmin() for i, row in enumerate(costs) if i not in lost and row.min() < most]
    costs[np.ix_(lost, claims)] = 1


def _widened(boxes: Float, margin: float) -> Float:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - margin * sides, boxes[:, 2:] + margin * sides], axis=1)
