"""One camera's tracker: detections in, the same objects with an identity that lasts out."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from stages.errors import ModelError
from stages.settings import Settings
from stages.values import Detections, Int32, Picture, Tracks

if TYPE_CHECKING:
    from stages.track.association import Associator

logger = logging.getLogger(__name__)

UNTRACKED = -1


class TrackerKind(StrEnum):
    """Which association rule joins the sightings."""

    BYTETRACK = "bytetrack"
    BOTSORT = "botsort"
    OCSORT = "ocsort"


class TrackSettings(Settings):
    """How sightings are joined into tracks."""

    kind: TrackerKind = Field(
        TrackerKind.BYTETRACK,
        description="bytetrack: box motion in two score stages, the cheapest. botsort: the same with width and height "
        "filtered apart, for objects that change shape. ocsort: leans on the last sightings rather than the filter, "
        "for erratic motion; its checkpoint is three times as large.",
    )
    classes: tuple[str, ...] | None = Field(
        None,
        description="Class names that get an identity; null tracks all. Fewer is faster and keeps a part's features "
        "(cap, label) from taking identities; detections of other classes pass through with track_id -1.",
    )
    high_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Score (0..1) from which a detection takes part in the first, generous matching. Lower bridges "
        "weak detections; too low lets clutter pull tracks away.",
    )
    low_score: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Score (0..1) from which a detection may still prolong a track that is there (second matching). "
        "Lower bridges blur and occlusion; too low follows shadows. Of use only where the detector reports that low.",
    )
    new_track_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Score (0..1) a detection needs to start a track. Higher gives fewer false tracks; too high "
        "starts tracks late or not at all.",
    )
    min_output_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Score (0..1) from which a detection of a tracked class without an identity is still given out "
        "(track_id -1). Lower shows more of what the model saw; higher hides clutter. Tracked boxes always come out.",
    )
    min_iou: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Least overlap (intersection over union, 0..1) of a track's predicted box and a detection to be "
        "the same object. Lower holds on through jerks and dropped frames; too low hands identities to neighbours.",
    )
    first_match_margin: float = Field(
        0.5,
        ge=0,
        le=2,
        description="How far, in box sizes on each side, a track seen only once may reach for its second sighting: "
        "its speed is not known yet. Larger follows faster belts at low frame rates; too large joins neighbours.",
    )
    max_lost_frames: int = Field(
        30,
        ge=1,
        le=9000,
        description="Frames of the source (dropped ones counted) a track survives unseen. More bridges longer "
        "occlusion; too many hand an old identity to a newcomer.",
    )
    fuse_score: bool = Field(
        False,
        description="Multiply overlap by detection score when matching. On favours confident detections in crowds; "
        "off keeps tracks whose score dips while they overlap well.",
    )
    common_motion: bool = Field(
        True,
        description="Start a new track with the speed the tracks before it agreed on (a belt). On tells touching "
        "parts of a fast belt apart from their second sighting; off suits scenes where everything moves its own way.",
    )
    start_velocity_px: tuple[float, float] = Field(
        (0.0, 0.0),
        description="Speed x y, pixels per source frame, a new track is given before any track has shown one. Right "
        "for the belt, it settles the very first parts of a touching, fast train; wrong, it costs them a frame or two.",
    )

    @model_validator(mode="after")
    def _scores_are_ordered(self) -> TrackSettings:
        if not self.low_score <= self.high_score <= self.new_track_score:
            raise ValueError(
                f"low_score {self.low_score} <= high_score {self.high_score} <= new_track_score "
                f"{self.new_track_score} does not hold"
            )
        return self


class Tracker:
    """Tracks of one camera. Identities count up from `next_id`, are never used twice, and travel in the checkpoint."""

    def __init__(self, settings: TrackSettings, class_names: Sequence[str] = (), next_id: int = 1) -> None:
        """`class_names` of the model whose class ids come in; needed where `settings.classes` names some."""
        self._settings = settings
        self._next_id = next_id
        self._tracked_classes: Int32 | None = None
        self.use_classes(class_names)
        self._associator = _associator(settings)

    @property
    def next_id(self) -> int:
        """The identity the next new track gets."""
        return self._next_id

    def use_classes(self, class_names: Sequence[str]) -> None:
        """Read class ids by these names from now on (another model). Raises ModelError if a tracked one is missing."""
        self._tracked_classes = _class_ids(self._settings.classes, class_names)

    def update(self, detections: Detections, picture: Picture | None = None, frames_skipped: int = 0) -> Tracks:
        """What is seen in this frame, in the detections' order, with identities where there are any.

        Boxes are the detections' own, not the filter's: features are assigned to parts by containment in this very
        frame. A tracked object's first sighting has track_id -1 (a single sighting may be clutter), save in the very
        first frame. `frames_skipped`: frames of the source lost since the last update; tracks coast over them.
        `picture` is not looked at by these trackers.
        """
        candidates = self._candidates(detections)
        self._coast(frames_skipped)
        matched = self._associator.follow(detections.keep(candidates))
        track_id = np.full(len(detections), UNTRACKED, np.int32)
        for track in matched:
            if not track.own_id:
                track.own_id = self._take_id()
            track_id[candidates[track.idx]] = track.own_id
        return self._output(detections, candidates, track_id)

    def checkpoint(self) -> dict[str, Any]:
        """All that decides the future, as plain numbers, strings and bytes; at most 4 kB for 12 tracks."""
        return {"next_id": self._next_id, "kind": str(self._settings.kind), **self._associator.checkpoint()}

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on as the tracker that gave the checkpoint would have. Raises ValueError if it cannot be read.

        A checkpoint of another `kind` gives its identities' count only: its tracks start anew.
        """
        next_id, kind = _read_head(checkpoint)
        associator = _associator(self._settings)
        if kind == self._settings.kind:
            associator.restore(checkpoint)
        else:
            logger.warning("checkpoint is of tracker %s, this one is %s: tracks start anew", kind, self._settings.kind)
        self._associator, self._next_id = associator, max(self._next_id, next_id)

    def reset(self) -> None:
        """Forget all tracks; identities go on counting."""
        self._associator = _associator(self._settings)

    def _candidates(self, detections: Detections) -> npt.NDArray[np.intp]:
        if self._tracked_classes is None:
            return np.arange(len(detections))
        return np.flatnonzero(np.isin(detections.class_id, self._tracked_classes))

    def _coast(self, frames_skipped: int) -> None:
        if frames_skipped >= self._settings.max_lost_frames:
            self._associator.drop_all()
        elif frames_skipped > 0:
            self._associator.coast(frames_skipped)

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _output(self, detections: Detections, candidates: npt.NDArray[np.intp], track_id: Int32) -> Tracks:
        keep = np.ones(len(detections), bool)
        keep[candidates] = detections.score[candidates] >= self._settings.min_output_score
        keep |= track_id != UNTRACKED
        return Tracks(detections.xyxy[keep], detections.score[keep], detections.class_id[keep], track_id[keep])


def _associator(settings: TrackSettings) -> Associator:
    # The library asks the network and may install packages when imported, unless told not to.
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    # It also pulls in torch (1-2 s): configuration, command line and ingest read the settings without it.
    from stages.track.association import make_associator

    return make_associator(settings)


def _class_ids(wanted: tuple[str, ...] | None, class_names: Sequence[str]) -> Int32 | None:
    if wanted is None:
        return None
    missing = sorted(set(wanted) - set(class_names))
    if missing:
        raise ModelError(f"track.classes names {', '.join(missing)}, but the model knows {', '.join(class_names)}")
    return np.array([i for i, name in enumerate(class_names) if name in wanted], np.int32)


def _read_head(checkpoint: Mapping[str, Any]) -> tuple[int, str]:
    try:
        return int(checkpoint["next_id"]), str(checkpoint["kind"])
    except (KeyError, TypeError, ValueError) as exc:
        raise ValueError(f"not a tracker checkpoint: {exc!r}") from exc
