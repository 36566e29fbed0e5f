"""One camera's tracker: detections in, the same objects with an identity that lasts out."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stages.errors import ModelError
from stages.track.settings import TrackerKind, TrackSettings
from stages.values import Detections, Int32, Picture, Tracks

if TYPE_CHECKING:
    from stages.track.association import Associator

__all__ = ["TrackSettings", "Tracker", "TrackerKind"]

logger = logging.getLogger(__name__)

UNTRACKED = -1


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
