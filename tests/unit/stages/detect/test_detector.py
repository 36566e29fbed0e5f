"""Batches in, one answer per frame out, whatever the backend's batch."""

from dataclasses import replace

import numpy as np
import pytest

from stages.detect.detector import Detector
from stages.errors import ModelError, StageError
from stages.values import Detections, FrameFailed, Thresholds
from tests.unit.stages.detect.scripted import NAMES, ScriptedBackend, dense, prepared, settings

# Answer n holds one bottle 10 pixels right of answer n - 1's.
ANSWERS = [dense((10.0 * n, 112, 10.0 * n + 40, 152, 0.9, 0)) for n in range(30)]


def lefts(answers: tuple[Detections | FrameFailed, ...]) -> list[float | str]:
    return [a.reason if isinstance(a, FrameFailed) else float(a.xyxy[0, 0]) for a in answers]


def test_each_frame_gets_its_own_answer_in_source_pixels() -> None:
    detected = Detector(ScriptedBackend(ANSWERS), settings(), "line").detect(prepared(3, 1, 2))
    assert lefts(detected.detections) == [60, 20, 40]
    first = detected.detections[0]
    assert isinstance(first, Detections)
    assert first.xyxy.tolist() == [[60, 200, 140, 280]]


def test_a_frame_that_was_not_prepared_stays_failed_in_its_place() -> None:
    detected = Detector(ScriptedBackend(ANSWERS), settings(), "line").detect(prepared(3, 1, failed=[1]))
    assert lefts(detected.detections) == [60, "odd size", 20]


@pytest.mark.parametrize(("most", "batches"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (8, [5])])
def test_large_calls_are_split_by_the_batch_limit(most: int, batches: list[int]) -> None:
    backend = ScriptedBackend(ANSWERS)
    detected = Detector(backend, settings(max_batch=most), "line").detect(prepared(5, 4, 3, 2, 1))
    assert lefts(detected.detections) == [100, 80, 60, 40, 20]
    assert backend.batches == batches


def test_no_frames_ask_the_model_nothing() -> None:
    backend = ScriptedBackend(ANSWERS)
    assert Detector(backend, settings(), "line").detect(prepared()).detections == ()
    assert backend.batches == []


def test_several_calls_share_a_batch_and_get_their_own_answers() -> None:
    backend = ScriptedBackend(ANSWERS)
    answers = Detector(backend, settings(), "line").detect_many([prepared(1, 2), prepared(failed=[0]), prepared(3)])
    assert [lefts(answer.detections) for answer in answers] == [[20, 40], ["odd size"], [60]]
    assert backend.batches == [3]


def test_calls_that_share_a_batch_keep_each_their_own_thresholds() -> None:
    """Two things of scores 0.9 and 0.3 side by side, and one box over most of the first."""
    both = dense((40, 0, 60, 50, 0.9, 0), (42, 0, 62, 50, 0.5, 0), (200, 0, 220, 50, 0.3, 0))
    backend = ScriptedBackend([both])
    told = [
        None,  # as the settings say: 0.25, and the double goes
        Thresholds(min_score=0.6, iou=0.6, max_detections=300),
        Thresholds(min_score=0.1, iou=0.95, max_detections=300),
        Thresholds(min_score=0.1, iou=0.95, max_detections=1),
    ]
    calls = [replace(prepared(0), thresholds=thresholds) for thresholds in told]
    detector = Detector(backend, settings(), "line")
    answers = detector.detect_many(calls)
    counts = [len(found) for answer in answers for found in answer.detections if isinstance(found, Detections)]
    assert counts == [2, 1, 3, 1]
    alone = [
        len(found) for call in calls for found in detector.detect(call).detections if isinstance(found, Detections)
    ]
    assert alone == counts
    assert backend.batches == [4, 1, 1, 1, 1]
    assert backend.asked == [0.1, 0.25, 0.6, 0.1, 0.1]  # what a GPU may keep back is below all of them


def test_no_calls_get_no_answers() -> None:
    assert Detector(ScriptedBackend(ANSWERS), settings(), "line").detect_many([]) == []


def test_a_lost_device_loses_the_call() -> None:
    with pytest.raises(StageError, match="device gone"):
        Detector(ScriptedBackend(ANSWERS, fails=True), settings(), "line").detect(prepared(1))


def test_a_batch_of_another_rectangle_is_refused() -> None:
    detector = Detector(ScriptedBackend(ANSWERS), settings(image_size=(640, 640)), "line")
    with pytest.raises(StageError, match=r"line sees \(h, w\) \(640, 640\), the batch was prepared for \(384, 640\)"):
        detector.detect(prepared(1))


def test_the_answer_says_which_model_spoke_and_how_long_it_took() -> None:
    detected = Detector(ScriptedBackend(ANSWERS), settings(version="7"), "line").detect(prepared(1))
    assert (detected.model.name, detected.model.version, detected.model.class_names) == ("line", "7", NAMES)
    assert detected.timings_ms["preprocess"] == 1.5
    assert 0 < detected.infer_ms <= detected.timings_ms["detect"]


def test_a_class_the_model_does_not_know_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no class 'botle' \(did you mean 'bottle'\?\).*models.<name>.classes"):
        Detector(ScriptedBackend(ANSWERS), settings(classes=("botle",)), "line")


def test_warming_runs_the_smallest_and_the_largest_batch() -> None:
    backend = ScriptedBackend(ANSWERS)
    Detector(backend, settings(max_batch=4), "line").warm()
    assert backend.batches == [1, 4]


def test_warming_refuses_a_model_whose_answer_does_not_fit_its_names() -> None:
    detector = Detector(ScriptedBackend([dense(classes=80)]), settings(), "line")
    with pytest.raises(ModelError, match=r"a detector of 3 classes answers \(1, 7, anchors\)"):
        detector.warm()


def test_answers_outlive_the_next_call() -> None:
    """A backend may hand out the same array each time; what came of it must not change."""

    class OneArray(ScriptedBackend):
        shared = np.zeros((1, 7, 20), np.float32)

        def infer(self, tensor: np.ndarray, min_score: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
            self.shared[...] = super().infer(tensor, min_score)
            return self.shared

    detector = Detector(OneArray(ANSWERS), settings(max_batch=1), "line")
    first = detector.detect(prepared(1)).detections
    detector.detect(prepared(9))
    assert lefts(first) == [20]
