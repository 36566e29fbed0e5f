"""What is counted for all tracks at once is, number for number, what the library counts track by track."""

# mypy: allow-subclassing-any

from __future__ import annotations

from typing import Any

import pytest
from ultralytics.trackers.basetrack import TrackState
from ultralytics.trackers.bot_sort import BOTSORT
from ultralytics.trackers.byte_tracker import BYTETracker
from ultralytics.trackers.oc_sort import OCSORT

from stages.track.association import _BeltTracker, _BotTracker, _OcTracker
from stages.track.settings import TrackSettings
from tests.unit.stages.track.test_checkpoint import shaky_belt


class _OneByOne(_BeltTracker):
    """The same additions on the library's own frame."""

    update: Any = BYTETracker.update
    _apply_matches: Any = BYTETracker._apply_matches
    _costs: Any = BYTETracker.get_dists
    _made: Any = _OcTracker._made

    def follow(self, detections: Any) -> list[Any]:
        seen = super().follow(detections)
        self.lost_stracks = [t for t in self.lost_stracks if t.state == TrackState.Lost]
        self.removed_stracks.clear()
        return seen


class _BotOneByOne(_OneByOne, _BotTracker):
    _costs: Any = BOTSORT.get_dists


class _OcOneByOne(_OneByOne, _OcTracker):
    _costs: Any = OCSORT.get_dists


@pytest.mark.parametrize("fuse_score", [False, True])
@pytest.mark.parametrize(
    ("ours", "librarys"), [(_BeltTracker, _OneByOne), (_BotTracker, _BotOneByOne), (_OcTracker, _OcOneByOne)]
)
def test_a_belt_with_gaps_clutter_and_weak_scores_is_followed_as_by_the_library(
    ours: Any, librarys: Any, fuse_score: bool
) -> None:
    settings = TrackSettings(max_lost_frames=12, fuse_score=fuse_score)
    for seed in range(4):
        mine, theirs = ours(settings), librarys(settings)
        matched = 0
        for found, skipped in shaky_belt(seed, 60):
            for tracker in (mine, theirs):
                tracker.coast(skipped)
            seen = [(t.track_id, int(t.idx)) for t in mine.follow(found)]
            assert seen == [(t.track_id, int(t.idx)) for t in theirs.follow(found)]
            assert mine.checkpoint() == theirs.checkpoint()
            matched += len(seen)
        assert matched > 100
