"""One camera changes its recipe: when, what its messages say, and how it goes on after a restart in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack
import pytest

from pipeline.answers import CameraAnswer, InForce, Outcome
from pipeline.deployments.camera_road import Seen
from pipeline.deployments.job import CameraJob, Change
from pipeline.deployments.told import Told
from pipeline.deployments.tracked_camera import TrackedCamera
from pipeline.sinks.redis_streams import Stored
from stages.detect.settings import ModelSettings
from stages.inspection.settings import FeatureRule
from stages.values import CameraNotice, Detections, EndOfStream, ModelInfo
from tests.unit.deployments.test_tracked_camera import CAM, FILE, MODEL, NO_MODEL, NOW, camera, messages, seen, written

TIMEOUT_S = 1.0
SMALL = camera().job  # recipe "r": a part passes x = 200, pictures of 400
ASKED = Change("change-1", TIMEOUT_S)


def recipe(name: str, change: Change | None = ASKED, **inspection: Any) -> CameraJob:
    """Another recipe of the same model; found alike unless the trigger moves."""
    assert SMALL.inspection is not None
    settings = SMALL.inspection.model_copy(update={"min_votes": 4, **inspection})
    return replace(SMALL, recipe=name, config_hash=f"h-{name}", inspection=settings, change=change, before=SMALL)


LARGE = recipe("large")
ELSEWHERE = recipe("elsewhere", trigger=((0.3, 0.0), (0.3, 1.0)))


def at(x: float, seq: int, source: str = "live") -> Seen:
    return seen(seq, source, x=x - 20)


def empty(seq: int, source: str = "live") -> Seen:
    return replace(seen(seq, source), found=Detections.empty())


@dataclass
class Run:
    """What one camera wrote, frame by frame; each write lands."""

    subject: TrackedCamera
    stored: Stored = field(default_factory=Stored)
    detections: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    answer: CameraAnswer | None = None
    model: ModelInfo = MODEL

    def work(self, frames: Sequence[Seen]) -> None:
        for one in frames:
            write = self.subject.work([one], [], None, self.model, NOW)
            assert write is not None
            self.answer = self.subject.settle(written(write), NOW)
            self.stored = Stored(write.new, write.checkpoint or self.stored.checkpoint)
            self.detections += messages(write.detections)
            self.events += messages(write.events)
            self.verdicts += messages(write.inspections)

    def restart(self, job: CameraJob) -> None:
        """Another replica takes over from what is stored, and knows this job alone."""
        self.subject = TrackedCamera(job, self.stored, None)

    def told(self, job: CameraJob) -> CameraJob:
        """What the next batch brings of this job, by the last answer."""
        assert self.answer is not None
        assert self.answer.in_force is not None
        return Told.of({CAM}, {CAM: job}, {CAM: self.answer.in_force}).jobs[CAM]

    def changed(self) -> list[dict[str, Any]]:
        return [one for one in self.events if one["kind"] == "recipe_changed"]


def passes(first: int, source: str = "live", until: float = 390.0) -> list[Seen]:
    """One part from the left edge to the right, and then nothing."""
    places = [30.0 + 15 * n for n in range(1000) if 30.0 + 15 * n < until]
    return [at(x, first + n, source) for n, x in enumerate(places)]


def run_of(job: CameraJob = SMALL) -> Run:
    return Run(TrackedCamera(job, Stored(), None))


@pytest.mark.parametrize("source", ["live", "file:0123456789abcdef"])
def test_a_camera_changes_in_the_gap_behind_the_part(source: str) -> None:
    run = run_of()
    frames = passes(0, source)[:20] + [empty(n, source) for n in range(20, 25)]
    frames += [replace(one) for one in passes(25, source)]
    run.work(frames[:6])
    assert run.subject.takes(LARGE)
    run.work(frames[6:])
    (event,) = run.changed()
    data = event["data"]
    assert (data["change_id"], data["from"], data["to"]) == ("change-1", "r", "large")
    assert (data["forced"], data["cut_short"]) == (False, 0)
    assert 500 <= data["waited_ms"] <= 1000  # frames are a tenth of a second apart; the part needs six more to x = 200
    change = next(n for n, one in enumerate(run.detections) if one["recipe"] == "large")
    told = [(one["recipe"], one["config_hash"]) for one in run.detections]
    assert told == [("r", "h")] * change + [("large", "h-large")] * (len(frames) - change)
    assert [one["recipe"] for one in run.verdicts] == ["r", "large"]
    assert event["source"]["position"] == run.detections[change]["source"]["position"]
    assert (event["recipe"], event["config_hash"]) == ("large", "h-large")
    ids = [one["id"] for message in run.detections for one in message["objects"] if one["label"] == "bottle"]
    assert len({one["track_id"] for one in run.verdicts}) == 2
    assert ids
    assert run.answer is not None
    assert run.answer.in_force == InForce("large", "h-large", "change-1")


def test_on_a_belt_without_a_gap_the_part_under_way_keeps_its_recipe() -> None:
    run = run_of(replace(SMALL, config_hash="h"))
    frames = passes(0)
    run.work(frames[:2])
    assert run.subject.takes(recipe("large", Change("c", 0.3)))
    run.work(frames[2:])
    (event,) = run.changed()
    assert (event["data"]["forced"], event["data"]["under_way"], event["data"]["cut_short"]) == (True, 1, 0)
    (verdict,) = run.verdicts
    assert (verdict["recipe"], verdict["config_hash"]) == ("r", "h")
    assert run.detections[-1]["recipe"] == "large"


def test_where_parts_are_found_otherwise_the_one_under_way_is_told_and_not_judged_again() -> None:
    run = run_of()
    frames = passes(0)
    run.work(frames[:6])
    assert run.subject.takes(recipe("elsewhere", Change("c", 0.2), trigger=((0.8, 0.0), (0.8, 1.0))))
    run.work(frames[6:])
    (verdict,) = run.verdicts
    assert (verdict["verdict"], verdict["reasons"][0], verdict["recipe"]) == ("indeterminate", "changeover", "r")
    (event,) = run.changed()
    assert (event["data"]["forced"], event["data"]["cut_short"]) == (True, 1)
    assert run.stored.checkpoint is not None


@pytest.mark.parametrize(("x", "seen_until"), [(0.3, 9), (0.8, 9), (0.8, 20)], ids=["back", "on", "judged before"])
def test_a_camera_whose_own_trigger_is_moved_gives_each_part_one_verdict_and_no_false_pass(
    x: float, seen_until: int
) -> None:
    run = run_of()
    frames = passes(0)
    run.work(frames[:seen_until])
    was_judged = len(run.verdicts)
    job = recipe("r", None, trigger=((x, 0.0), (x, 1.0)))
    before = run.subject
    assert not before.takes(job)
    before.pass_on()
    run.restart(job)
    run.subject.inherit(before.leave(NOW))
    run.work(frames[seen_until:])
    (verdict,) = run.verdicts
    told = (verdict["verdict"], verdict["reasons"][:1])
    assert told == (("pass", []) if was_judged else ("indeterminate", ["changeover"]))


@pytest.mark.parametrize("knows", [True, False], ids=["it knows the recipe before", "it does not"])
def test_a_restart_while_a_change_waits_ends_in_it_and_tells_it_once(knows: bool) -> None:
    source = "file:0123456789abcdef"  # a checkpoint with each write
    run = run_of()
    frames = passes(0, source) + [empty(n, source) for n in range(24, 30)]
    run.work(frames[:6])
    assert run.subject.takes(LARGE)
    run.work(frames[6:8])
    run.restart(LARGE if knows else replace(LARGE, before=None))
    run.work(frames[8:12])
    assert [one["recipe"] for one in run.detections[8:12]] == ["r" if knows else "large"] * 4
    run.restart(LARGE if knows else replace(LARGE, before=None))
    run.work(frames[12:])
    assert len(run.changed()) == 1
    (verdict,) = run.verdicts
    assert verdict["recipe"] == ("r" if knows else "large")
    assert verdict["verdict"] == ("pass" if knows else "indeterminate")
    assert ("changeover" in verdict["reasons"]) is not knows
    names = [one["recipe"] for one in run.detections]
    assert names == sorted(names, reverse=True)
    run.restart(LARGE)
    run.work([empty(40, source)])
    assert len(run.changed()) == 1


@pytest.mark.parametrize("source", ["live", FILE])
def test_a_restart_behind_a_forced_change_leaves_the_part_to_the_recipe_it_began_with(source: str) -> None:
    run, job = run_of(), recipe("large", Change("c", 0.2))
    frames = passes(0, source)
    run.work(frames[:4])
    assert run.subject.takes(job)
    run.work(frames[4:8])
    assert len(run.changed()) == 1
    run.restart(run.told(job))
    run.work(frames[8:])
    (verdict,) = run.verdicts
    assert (verdict["recipe"], verdict["verdict"], len(run.changed())) == ("r", "pass", 1)
    assert run.told(job).before is None  # nobody needs it any more


def test_a_replica_that_had_no_frame_yet_keeps_what_the_next_may_need() -> None:
    run, job = run_of(), recipe("large", Change("c", 0.2))
    frames = passes(0, FILE)
    run.work(frames[:4])
    assert run.subject.takes(job)
    run.work(frames[4:8])
    run.restart(run.told(job))
    back = CameraNotice(CAM, 1, NOW, "running", "", seeing=True, epoch=7)
    assert run.subject.work([], [back], None, MODEL, NOW) is None
    run.answer = run.subject.settle(None, NOW)
    run.restart(run.told(job))
    run.work(frames[8:])
    assert [one["recipe"] for one in run.verdicts] == ["r"]


def test_where_only_the_end_comes_to_another_replica_the_part_is_judged_by_the_recipe_it_began_with() -> None:
    """The two recipes ask for other classes. It came just over the line and was not seen far enough to be sure of."""
    run = Run(TrackedCamera(SMALL, Stored(), None), model=replace(MODEL, class_names=("bottle", "cap", "lid")))
    job = recipe("lids", Change("c", 0.0), required=(FeatureRule(label="lid"),))
    frames = [at(x, n, FILE) for n, x in enumerate([192.0, 194.0, 196.0, 198.0, 201.0])]
    run.work(frames[:3])
    assert run.subject.takes(job)
    run.work(frames[3:])
    assert (len(run.changed()), run.verdicts) == (1, [])
    last = frames[-1].frame
    run.stored = replace(run.stored, captured_at=last.captured_at)
    run.restart(run.told(job))
    end = EndOfStream(CAM, last.seq, "over", last.position)
    assert run.subject.work([], [], end, NO_MODEL, NOW) is None
    (verdict,) = messages(run.subject.loose().verdicts)
    assert (verdict["recipe"], verdict["reasons"]) == ("r", ["lost"])


def test_what_is_stored_of_a_live_camera_names_no_recipe_before_once_it_is_not_told_any_more() -> None:
    """A fixture was taken for a part: it is let go of without a verdict, which alone would be stored at once."""
    run, job = run_of(), recipe("large", Change("c", 0.2))
    run.work([at(100.0, n) for n in range(4)])
    assert run.subject.takes(job)
    older = []
    for n in range(4, 40):
        run.work([at(100.0, n) if n < 10 else empty(n)])
        older.append(run.told(job).before is not None)
        assert run.stored.checkpoint is not None
        assert ("older" in msgpack.unpackb(run.stored.checkpoint)["inspector"]) <= older[-1]
    assert older == sorted(older, reverse=True)
    assert (older[0], older[-1], run.verdicts, len(run.changed())) == (True, False, [], 1)


def test_a_part_by_a_recipe_that_nobody_knows_any_more_cannot_pass() -> None:
    """Two changes, neither with a gap, and the replica's death: the recipe it began with is in no job."""
    run, large = run_of(), recipe("large", Change("c", 0.0))
    third = replace(recipe("third", Change("d", 0.0)), before=large)
    frames = passes(0, FILE)
    run.work(frames[:4])
    assert run.subject.takes(large)
    run.work(frames[4:5])
    assert run.subject.takes(third)
    run.work(frames[5:6])
    run.restart(run.told(third))
    run.work(frames[6:])
    (verdict,) = run.verdicts
    assert (verdict["verdict"], verdict["reasons"][0]) == ("indeterminate", "changeover")


def test_a_write_that_did_not_land_takes_the_change_into_the_next() -> None:
    run = run_of()
    run.work([empty(0), empty(1)])
    assert run.subject.takes(LARGE)
    lost = run.subject.work([empty(2)], [], None, MODEL, NOW)
    assert lost is not None
    assert lost.checkpoint is not None  # else another replica would change again
    assert run.subject.settle(None, NOW).keeps_count
    write = run.subject.work([empty(3)], [], None, MODEL, NOW)
    assert write is not None
    assert [one["kind"] for one in messages(write.events)].count("recipe_changed") == 1
    assert write.checkpoint is not None


def test_a_live_camera_that_changes_while_the_store_is_away_says_what_is_to_be_cut_out() -> None:
    """Else its frames would be cut out for the recipe before until the store is back, and no part would get votes."""
    run, roi = run_of(), (0.0, 0.0, 1.0, 0.9)
    run.work([empty(0), empty(1)])
    assert run.subject.takes(replace(LARGE, roi=roi))
    assert run.subject.work([empty(2)], [], None, MODEL, NOW) is not None
    answer = run.subject.settle(None, NOW)
    assert answer.outcome is Outcome.UNAVAILABLE
    # What is stored is of before the change: whoever dies now, the next one must know both recipes.
    assert answer.in_force == InForce("large", "h-large", "change-1", roi, older_parts=True)


def test_a_change_that_is_taken_back_before_it_was_made_is_none() -> None:
    run = run_of()
    frames = passes(0)
    run.work(frames[:6])
    assert run.subject.takes(LARGE)
    run.work(frames[6:8])
    assert run.subject.takes(replace(SMALL, change=Change("change-2", TIMEOUT_S), before=LARGE))
    run.work(frames[8:])
    assert run.changed() == []
    assert {one["recipe"] for one in run.detections} == {"r"}
    assert run.answer is not None
    assert run.answer.in_force == InForce("r", "h", "change-2")


def test_a_recipe_that_a_later_config_file_brings_is_not_told_as_the_change_before_it() -> None:
    """The line went to another recipe and back; then the file says a third, and the last change still stands there."""
    run = run_of()
    run.work([empty(0, FILE)])
    assert run.subject.takes(LARGE)
    run.work([empty(1, FILE)])
    back = Change("change-2", TIMEOUT_S)
    assert run.subject.takes(replace(SMALL, change=back, before=LARGE))
    run.work([empty(2, FILE)])
    of_the_file = replace(ELSEWHERE, change=back, before=LARGE)
    assert not run.subject.takes(of_the_file)  # begun anew from what is stored
    run.restart(of_the_file)
    run.work([empty(3, FILE), empty(4, FILE)])
    told = [(one["event_id"].rpartition("/")[2], one["data"]["from"], one["data"]["to"]) for one in run.changed()]
    assert told == [("change-1", "r", "large"), ("change-2", "large", "r")]
    assert [one["recipe"] for one in run.detections] == ["r", "large", "r", "elsewhere", "elsewhere"]


def test_a_recipe_of_classes_the_model_does_not_know_leaves_the_camera_at_work_by_the_one_before() -> None:
    run = run_of()
    run.work([empty(0)])
    unfit = recipe("unfit", part_label="jar")
    assert run.subject.takes(unfit)
    run.work(passes(1))
    assert run.subject.takes(unfit)  # told with every batch, tried once
    run.work([empty(30)])
    refused = [one for one in run.events if one["kind"] == "recipe_refused"]
    assert len(refused) == 1
    assert "no class 'jar'" in refused[0]["data"]["reason"]
    assert {one["recipe"] for one in run.detections} == {"r"}
    assert [one["recipe"] for one in run.verdicts] == ["r"]
    assert run.answer is not None
    assert run.answer.in_force is not None
    assert "no class 'jar'" in run.answer.in_force.refused
    assert run.subject.takes(LARGE)
    run.work([empty(31)])
    assert len(run.changed()) == 1


def test_other_thresholds_are_in_the_next_message_and_let_go_of_nothing() -> None:
    run = run_of()
    frames = passes(0)
    run.work(frames[:6])
    thresholds = ModelSettings(weights="w", min_score=0.7).thresholds
    assert run.subject.takes(replace(SMALL, config_hash="h2", thresholds=thresholds))
    run.work(frames[6:])
    assert [one["config_hash"] for one in run.detections] == ["h"] * 6 + ["h2"] * (len(frames) - 6)
    (verdict,) = run.verdicts
    assert (verdict["config_hash"], verdict["votes"]["usable"] > 8) == ("h2", True)


def test_anything_else_is_begun_anew_from_what_is_stored() -> None:
    subject = camera()
    assert not subject.takes(replace(SMALL, config_hash="h3", station="elsewhere"))
    assert not subject.takes(replace(LARGE, change=None))  # a camera's own recipe: no changeover


def test_frames_cut_out_for_another_recipe_are_no_evidence() -> None:
    run = run_of()
    run.work([replace(one, roi=(0.0, 0.0, 1.0, 0.9)) for one in passes(0)])
    (verdict,) = run.verdicts
    assert (verdict["verdict"], verdict["votes"]["usable"]) == ("indeterminate", 0)


def test_what_is_cut_out_follows_the_recipe_that_is_in_force() -> None:
    waits = replace(LARGE, roi=(0.1, 0.1, 0.9, 0.9))
    told = Told.of({CAM}, {CAM: waits}, {CAM: InForce("r", "h")})
    assert (dict(told.rois), told.jobs[CAM].before) == ({}, SMALL)
    told = Told.of({CAM}, {CAM: waits}, {CAM: InForce("large", "h-large", "change-1", waits.roi)})
    assert (dict(told.rois), told.jobs[CAM].before) == ({CAM: waits.roi}, None)  # nobody needs the one before
    older = InForce("large", "h-large", "change-1", waits.roi, older_parts=True)
    told = Told.of({CAM}, {CAM: waits}, {CAM: older})
    assert (dict(told.rois), told.jobs[CAM].before) == ({CAM: waits.roi}, SMALL)
    assert dict(Told.of({CAM}, {CAM: waits}, {}).rois) == {CAM: waits.roi}


def test_a_part_at_the_end_of_the_stream_is_judged_by_its_own_recipe_though_a_change_waits() -> None:
    """The camera goes blind with the part before the line, and the belt has carried it over by the end."""
    run = run_of()
    frames = passes(0, until=190)
    run.work(frames)
    assert run.subject.takes(LARGE)
    last = frames[-1].frame
    blind = CameraNotice(CAM, 1, last.captured_at, "reconnecting", "stream ended", seeing=False, epoch=7)
    assert run.subject.work([], [blind], None, MODEL, last.captured_at) is None
    end = EndOfStream(CAM, last.seq, "over", last.position)
    assert run.subject.work([], [], end, MODEL, last.captured_at + 5) is None
    told = [one for one in messages(run.subject.loose().verdicts) if "verdict" in one]
    assert [one["recipe"] for one in told] == ["r"]
    assert run.changed() == []
