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
from ultralytics.trackers.utils.matching import fuse_score

from stages.track.at_once import overlap_costs, take, without_doubles
from stages.track.belt_costs import put_lost_last, startled, wide_costs
from stages.track.belt_track import BeltTrack, BotTrack, Boxes, ByteTrack, OcTrack
from stages.track.checkpoint import pack_tracks, round_state, unpack_tracks
from stages.track.motion_filter import AspectHeightFilter, WidthHeightFilter, predict
from stages.track.settings import TrackerKind, TrackSettings
from stages.values import Detections, Float32

Float = npt.NDArray[np.float64]

BYTETracker: Any = byte_tracker.BYTETracker
BOTSORT: Any = bot_sort.BOTSORT
OCSORT: Any = oc_sort.OCSORT

SIGHTINGS_TO_TEACH = 3  # a speed measured over fewer is mostly noise
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
        self._begun = self._blank_track()

    def follow(self, detections: Detections) -> list[Any]:
        self.update(Boxes(detections.xyxy, detections.score, detections.class_id))
        round_state(self._all_tracks())
        seen = [t for t in self.tracked_stracks if t.is_activated and t.frame_id == self.frame_id]
        self._learn_common_motion(seen)
        return seen

    def update(self, results: Boxes, *_: Any, **__: Any) -> None:
        """The library's, stage by stage, with a book-keeping that costs little where nothing happened."""
        self.frame_id += 1
        high, low = self._candidates(results)
        unconfirmed, tracked = self._split_tracked()
        pool = [*tracked, *self.lost_stracks]
        self.multi_predict(pool)

        activated: list[Any] = []
        found: list[Any] = []
        lost: list[Any] = []
        taken = (activated, found)
        u_track, u_high = self._first_association(pool, high, *taken)
        u_track, u_high = self._post_first_association(pool, high, u_track, u_high, *taken)
        self._second_association(pool, u_track, low, *taken, lost)
        u_high, high = self._unconfirmed_association(unconfirmed, u_high, high, activated, [])
        self._init_new_tracks(u_high, high, *taken)
        self._remove_stale_lost([])
        self._keep(activated, found, lost)

    def _candidates(self, results: Boxes) -> tuple[list[BeltTrack], list[BeltTrack]]:
        """One candidate track per detection that has an area: those of a high score, and those of a low one."""
        sides = results.xyxy[:, 2:] - results.xyxy[:, :2]
        has_area, is_high = (sides > 0).all(axis=1), results.conf >= self.args.track_high_thresh
        chosen = (is_high, ~is_high & (results.conf > self.args.track_low_thresh))
        candidates = []
        for rows in (np.flatnonzero(has_area & each) for each in chosen):
            tracks = self.init_track(results[rows]) if len(rows) else []
            for track, row in zip(tracks, rows, strict=True):
                track.idx = row
            candidates.append(tracks)
        high, low = candidates
        return high, low

    def _keep(self, activated: list[Any], found: list[Any], lost: list[Any]) -> None:
        """Who is in sight from here on, and who is out of it. The library keeps removed tracks too; nobody asks."""
        tracked = {t.track_id: t for t in self.tracked_stracks if t.state == TrackState.Tracked}
        for track in (*activated, *found):
            tracked.setdefault(track.track_id, track)
        out_of_sight = [t for t in self.lost_stracks if t.track_id not in tracked] + lost
        self.tracked_stracks, out_of_sight = without_doubles(list(tracked.values()), out_of_sight)
        self.lost_stracks = [t for t in out_of_sight if t.state == TrackState.Lost]

    def _apply_matches(
        self, matches: Any, pool: list[Any], detections: list[Any], activated: list[Any], refind: list[Any]
    ) -> None:
        """The library's hook: all pairs of one stage."""
        if self.keeps_history:  # its tracks note each sighting for themselves
            super()._apply_matches(matches, pool, detections, activated, refind)
            return
        pairs = [(pool[row], detections[column]) for row, column in matches]
        for track, _ in pairs:
            (activated if track.state == TrackState.Tracked else refind).append(track)
        if pairs:
            take(self.kalman_filter, pairs, self.frame_id)

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
        tracks = self._made(results)
        for track in tracks:
            track.start_velocity, track.next_id = self.velocity, self._ids.__next__
        return tracks

    def _made(self, results: Boxes) -> list[BeltTrack]:
        """The library's tracks begin alike: copies of one take a third of the time of its constructor."""
        begun = vars(self._begun)
        tracks = []
        for tlwh, score, cls in zip(results.tlwh, results.conf, results.cls, strict=True):
            track = self.track_class.__new__(self.track_class)
            track.__dict__.update(begun, _tlwh=tlwh, score=score, cls=cls)
            tracks.append(track)
        return tracks

    def multi_predict(self, tracks: list[BeltTrack]) -> None:
        """The library's hook: move the pool one frame on; unconfirmed tracks, which it leaves standing, move too."""
        self._predict([*tracks, *(t for t in self.tracked_stracks if not t.is_activated)], 1)

    def get_kalmanfilter(self) -> Any:
        """The library's hook."""
        return AspectHeightFilter()

    def _predict(self, tracks: list[BeltTrack], frames: int) -> None:
        predict(self.kalman_filter, tracks, frames, self.still_when_lost)

    def get_dists(self, tracks: list[BeltTrack], detections: list[BeltTrack]) -> Float32:
        """The library's hook: cost of each pair, 0..1; rows whose speed cannot be trusted get the wide comparison."""
        costs = self._costs(tracks, detections)
        if not tracks or not detections:
            return costs
        rows = [i for i, t in enumerate(tracks) if t.sightings == 1] + startled(tracks, costs)
        if rows:
            wide = [tracks[i] for i in rows]
            costs[rows] = wide_costs(wide, detections, self.frame_id, self._settings.first_match_margin)
        put_lost_last(tracks, costs, self.args.match_thresh)
        return costs

    def _costs(self, tracks: list[BeltTrack], detections: list[BeltTrack]) -> Float32:
        costs = overlap_costs(tracks, detections)
        return fuse_score(costs, detections) if self._settings.fuse_score else costs

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

    def _costs(self, tracks: list[BeltTrack], detections: list[BeltTrack]) -> Float32:
        costs: Float32 = OCSORT.get_dists(self, tracks, detections)  # the direction of motion counts too
        return costs

    def _made(self, results: Boxes) -> list[BeltTrack]:
        boxes = np.column_stack([results.xywh, np.arange(len(results))])  # what they note is each one's own
        return [self.track_class(*row) for row in zip(boxes, results.conf, results.cls, strict=True)]


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
