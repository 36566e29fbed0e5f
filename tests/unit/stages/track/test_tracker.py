"""A tracker keeps each object's identity: paths drawn by hand, with known answers."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.errors import ModelError
from stages.track.tracker import Tracker, TrackerKind, TrackSettings
from stages.values import Detections
from tests.unit.stages.track.paths import Scene, at, belt, detections, follow, one_each

every_kind = pytest.mark.parametrize("kind", list(TrackerKind))


def tracker(kind: TrackerKind = TrackerKind.BYTETRACK, **values: object) -> Tracker:
    return Tracker(TrackSettings.model_validate({"kind": kind, **values}))


@every_kind
def test_objects_that_cross_keep_their_identities(kind: TrackerKind) -> None:
    scenes = [{"left": at(100 + 8 * f, 150), "right": at(500 - 8 * f, 200)} for f in range(50)]
    assert one_each(follow(tracker(kind), scenes))


@every_kind
def test_an_object_hidden_for_a_while_comes_back_with_its_identity(kind: TrackerKind) -> None:
    scenes: list[Scene] = [{} if 20 <= f < 35 else {"part": at(60 + 8 * f, 180)} for f in range(60)]
    assert one_each(follow(tracker(kind), scenes))


def test_an_object_hidden_too_long_is_a_new_one() -> None:
    scenes: list[Scene] = [{} if 20 <= f < 35 else {"part": at(60 + 8 * f, 180)} for f in range(60)]
    assert follow(tracker(max_lost_frames=10), scenes)["part"] == [1] * 20 + [2] * 24


@pytest.mark.parametrize(("unseen", "identities"), [(10, {1}), (11, {1, 2})])
def test_max_lost_frames_is_exact(unseen: int, identities: set[int]) -> None:
    scenes: list[Scene] = [{"part": at(200, 180)}] * 5 + [{}] * unseen + [{"part": at(200, 180)}] * 3
    assert set(follow(tracker(max_lost_frames=10), scenes)["part"]) == identities


def test_lost_frames_of_the_source_count_as_unseen() -> None:
    part = {"part": at(200, 180)}
    assert set(follow(tracker(max_lost_frames=10), [part] * 5, skipped=[0, 0, 9, 0, 0])["part"]) == {1}
    assert set(follow(tracker(max_lost_frames=10), [part] * 5, skipped=[0, 0, 10, 0, 0])["part"]) == {1, 2}


def test_who_comes_after_one_left_is_someone_else() -> None:
    leaves = [{"first": at(560 + 10 * f, 180)} for f in range(8)]
    comes = [{"second": at(30 + 10 * f, 180)} for f in range(8)]
    assert follow(tracker(), leaves + comes) == {"first": [1] * 8, "second": [2] * 7}


def test_two_cameras_count_their_own_identities() -> None:
    one, other = tracker(), tracker()
    here, there = [], []
    for f in range(20):
        here.append(one.update(detections([at(60 + 8 * f, 180)])).track_id.tolist())
        there.append(other.update(detections([at(60 + 8 * f, 180), at(60 + 8 * f, 330)])).track_id.tolist())
    assert here == [[1]] * 20
    assert there == [[1, 2]] * 20


@every_kind
@pytest.mark.parametrize("speed", [4, 10, 20, 30])
def test_touching_parts_moving_together_do_not_swap(kind: TrackerKind, speed: float) -> None:
    scenes = [belt(speed * (f + 1), pitch=60, parts=2) for f in range(600 // speed)]
    assert one_each(follow(tracker(kind), scenes))


@every_kind
@pytest.mark.parametrize("pitch", [90, 150, 300])
@pytest.mark.parametrize("speed", [30, 37, 45])
def test_parts_on_a_fast_belt_keep_their_identities(kind: TrackerKind, speed: float, pitch: float) -> None:
    ids = follow(tracker(kind), [belt(speed * f, pitch, parts=4) for f in range(45)])
    assert len(ids) == 4
    assert one_each(ids)


@every_kind
@pytest.mark.parametrize("speed", [-45, -30])
def test_a_fast_belt_may_run_either_way(kind: TrackerKind, speed: float) -> None:
    ids = follow(tracker(kind), [belt(1100 + speed * f, parts=5) for f in range(40)])
    assert len(ids) == 5
    assert one_each(ids)


@every_kind
def test_a_known_belt_speed_tells_a_fast_touching_train_apart_from_its_first_frame(kind: TrackerKind) -> None:
    ids = follow(tracker(kind, start_velocity_px=(45, 0)), [belt(45 * f, pitch=60, parts=8) for f in range(25)])
    assert len(ids) == 8
    assert one_each(ids)


@every_kind
def test_a_touching_train_behind_a_single_part_is_told_apart_by_the_speed_that_part_showed(kind: TrackerKind) -> None:
    def scene(frame: int) -> Scene:
        train = {f"train {name}": box for name, box in belt(45 * frame - 700, pitch=60).items()}
        return {**{f"leader {name}": box for name, box in belt(45 * frame, parts=1).items()}, **train}

    ids = follow(tracker(kind), [scene(f) for f in range(45)])
    assert len(ids) == 11
    assert one_each(ids)


@every_kind
def test_a_speed_learned_from_others_does_not_keep_a_standing_newcomer_from_being_tracked(kind: TrackerKind) -> None:
    rush = [{"fast": at(60 + 60 * f, 180)} for f in range(9)]
    stands: list[Scene] = [{"small": at(100, 300, 30, 30)}] * 5
    assert follow(tracker(kind), rush + stands) == {"fast": [1] * 9, "small": [2] * 4}


@every_kind
@pytest.mark.parametrize("every", [2, 3])
def test_a_camera_read_at_a_fraction_of_its_rate_keeps_identities(kind: TrackerKind, every: int) -> None:
    ids = follow(tracker(kind), [belt(15 * f) for f in range(0, 90, every)], skipped=[every - 1] * (90 // every))
    assert len(ids) == 9
    assert one_each(ids)


@every_kind
@settings(max_examples=8, deadline=None, derandomize=True)
@given(speed=st.integers(15, 30), lost=st.lists(st.integers(0, 5), min_size=30, max_size=30))
def test_lost_frames_cost_no_identity_once_the_speed_is_known(kind: TrackerKind, speed: int, lost: list[int]) -> None:
    gaps = [0] * 10 + lost
    frames = np.cumsum([gap + 1 for gap in gaps])
    parts = {f"part {n}": -150 * n for n in range(3)}
    scenes = [{name: at(60 + speed * int(f) + x, 180) for name, x in parts.items()} for f in frames]
    assert one_each(follow(tracker(kind), scenes, gaps))


@every_kind
@pytest.mark.parametrize("speed", [10, 30, 45])
def test_a_belt_that_stops_at_once_and_starts_again_keeps_identities(kind: TrackerKind, speed: float) -> None:
    shifts = [speed * min(f, 8) + speed * max(f - 20, 0) for f in range(30)]
    assert one_each(follow(tracker(kind), [belt(400 + s, pitch=100, parts=4) for s in shifts]))


@every_kind
@pytest.mark.parametrize("speed", [10, 20, 30])
def test_a_belt_that_turns_round_keeps_identities(kind: TrackerKind, speed: float) -> None:
    shifts = [300 + speed * (f if f < 8 else 16 - f) for f in range(16)]
    assert one_each(follow(tracker(kind), [belt(s, parts=2) for s in shifts]))


@every_kind
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_shaky_boxes_and_missed_detections_cost_no_identity(kind: TrackerKind, seed: int) -> None:
    random = np.random.default_rng(seed)

    def scene(frame: int) -> Scene:
        boxes = {f"part {n}": np.array(at(60 + 12 * frame - 75 * n, 180)) for n in range(6)}
        seen = {name: box for name, box in boxes.items() if frame < 5 or random.random() > 0.15}
        return {name: tuple(box + random.normal(0, 1.5, 4)) for name, box in seen.items()}

    assert one_each(follow(tracker(kind), [scene(f) for f in range(40)]))


def test_a_single_sighting_after_the_first_frame_has_no_identity_yet() -> None:
    subject = tracker()
    subject.update(Detections.empty())
    assert subject.update(detections([at(100, 180)])).track_id.tolist() == [-1]
    assert subject.update(detections([at(105, 180)])).track_id.tolist() == [1]


def test_flicker_uses_no_identity_up() -> None:
    subject = tracker()
    for f in range(20):
        subject.update(detections([at(100, 180)] if f % 2 else []))
    assert subject.next_id == 1


def test_only_what_is_seen_in_this_frame_comes_out_in_the_detections_order_and_with_their_boxes() -> None:
    subject = tracker()
    a, b = at(100, 180), at(400, 180)
    subject.update(detections([a, b]))
    shaken = detections([at(403, 182, 64, 118), at(101, 178, 58, 124)])
    tracks = subject.update(shaken)
    assert tracks.track_id.tolist() == [2, 1]
    np.testing.assert_array_equal(tracks.xyxy, shaken.xyxy)
    assert subject.update(detections([b])).track_id.tolist() == [2]
    assert len(subject.update(Detections.empty())) == 0


def test_classes_not_tracked_pass_through_with_their_scores() -> None:
    subject = Tracker(TrackSettings(classes=("bottle",)), ["cap", "bottle"])
    bottle, cap, weak_cap = detections([at(100, 180)], class_id=1), [at(100, 130, 20, 10)], [at(300, 130, 20, 10)]
    caps = detections([*cap, *weak_cap], score=[0.8, 0.05], class_id=0)
    both = Detections(*(np.concatenate([getattr(caps, n), getattr(bottle, n)]) for n in ("xyxy", "score", "class_id")))
    tracks = subject.update(both)
    assert tracks.track_id.tolist() == [-1, -1, 1]
    assert tracks.class_id.tolist() == [0, 0, 1]
    assert tracks.score.tolist() == pytest.approx([0.8, 0.05, 0.9])


def test_a_tracked_class_the_model_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"names bottel, but the model knows bottle, cap"):
        Tracker(TrackSettings(classes=("bottel",)), ["bottle", "cap"])


def test_another_models_class_ids_are_read_by_its_own_names() -> None:
    subject = Tracker(TrackSettings(classes=("bottle",)), ["bottle", "cap"])
    subject.update(detections([at(100, 180)], class_id=0))
    subject.use_classes(["cap", "bottle"])
    assert subject.update(detections([at(100, 180)], class_id=1)).track_id.tolist() == [1]


@pytest.mark.parametrize(
    ("score", "track_ids"),
    [
        pytest.param(0.3, [1, -1], id="a good detection elsewhere is shown, without identity"),
        pytest.param(0.15, [1], id="a weak one prolongs the track that is there and is not shown elsewhere"),
        pytest.param(0.05, [], id="below low_score nothing is prolonged"),
    ],
)
def test_weak_detections_prolong_tracks_and_start_none(score: float, track_ids: list[int]) -> None:
    subject = tracker(new_track_score=0.5)
    subject.update(detections([at(100, 180)]))
    subject.update(detections([at(100, 180)]))
    for _ in range(3):
        tracks = subject.update(detections([at(100, 180), at(400, 180)], score=score))
        assert tracks.track_id.tolist() == track_ids


def test_a_box_without_area_is_never_tracked() -> None:
    subject = tracker()
    for _ in range(3):
        assert subject.update(detections([(100, 100, 100, 200)])).track_id.tolist() == [-1]


def test_reset_forgets_tracks_and_goes_on_counting() -> None:
    subject = tracker()
    subject.update(detections([at(100, 180)]))
    subject.reset()
    assert subject.update(detections([at(100, 180)])).track_id.tolist() == [2]


def test_scores_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"low_score 0.4 <= high_score 0.3"):
        TrackSettings(low_score=0.4, high_score=0.3, new_track_score=0.5)


@every_kind
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    st.lists(
        st.lists(
            st.tuples(*[st.integers(0, 500)] * 2, *[st.integers(0, 90)] * 2, st.floats(0, 1)),
            max_size=6,
        ),
        max_size=12,
    )
)
def test_whatever_is_seen_an_identity_is_given_once_a_frame_and_counts_up(kind: TrackerKind, frames: list) -> None:  # type: ignore[type-arg]
    subject, highest = tracker(kind), 0
    for rows in frames:
        given_ = detections([(x, y, x + w, y + h) for x, y, w, h, _ in rows], [row[4] for row in rows])
        tracks = subject.update(given_)
        ids = tracks.track_id[tracks.track_id >= 0].tolist()
        assert len(ids) == len(set(ids))
        assert all(i < subject.next_id for i in ids)
        new = sorted(i for i in ids if i > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest = max([highest, *ids])
        assert {tuple(box) for box in tracks.xyxy.tolist()} <= {tuple(box) for box in given_.xyxy.tolist()}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        pytest.param("import stages.track.tracker, stages.track.zones", "torch", id="settings need no torch"),
        pytest.param(
            "from stages.track.tracker import *; [Tracker(TrackSettings(kind=k)) for k in TrackerKind]",
            "torchvision",
            id="trackers need no torchvision",
        ),
    ],
)
def test_importing_stays_cheap(code: str, absent: str) -> None:
    check = f"import sys; {code}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60, check=False).returncode == 0
