"""The GPU's way of a .pt, on the CPU: all of it but graphs, pinning and streams."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.detect.detector import Detector
from stages.detect.torch_backend import LANES, TorchBackend, is_supported
from stages.detect.torch_lane import batch_sizes
from stages.detect.torch_stream import CpuStream
from stages.detect.ultralytics_backend import UltralyticsBackend
from stages.errors import ModelError, StageError
from stages.values import Detections, Float32, Prepared, UInt8
from tests.unit.stages.detect.scripted import STATS, settings
from tests.unit.stages.detect.torch_models import (
    SMALL_HW,
    NoCapture,
    SameMemory,
    pictures,
    torch_backend,
    weights,
    whole,
)

__all__ = ["weights"]


@pytest.fixture(scope="module")
def present(weights: Path) -> UltralyticsBackend:
    return whole(weights)


@pytest.fixture(scope="module", params=[CpuStream, SameMemory], ids=["no graphs", "as graphs answer"])
def backend(weights: Path, request: pytest.FixtureRequest) -> TorchBackend:
    return torch_backend(weights, 6, lambda device: SameMemory(device) if request.param is SameMemory else CpuStream())


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(1, (1,)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8)), (64, (1, 2, 4, 8, 16, 32, 64))],
)
def test_a_model_is_captured_for_powers_of_two_up_to_the_largest_batch(most: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(most) == sizes


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_answers_are_those_of_the_present_backend(
    backend: TorchBackend, present: UltralyticsBackend, count: int
) -> None:
    tensor = pictures(count, seed=count)
    answers = backend.infer(tensor)
    assert (answers.shape, answers.dtype) == ((count, 7, 126), np.float32)
    np.testing.assert_allclose(answers, present.infer(tensor), atol=1e-3)


def test_what_an_earlier_batch_left_in_the_padding_changes_nothing(backend: TorchBackend) -> None:
    tensor = pictures(3)
    fresh = backend.infer(tensor).copy()
    for seed in range(LANES):  # both lanes
        backend.infer(pictures(6, seed))
    np.testing.assert_allclose(backend.infer(tensor), fresh, atol=1e-4)


def test_a_read_only_tensor_gets_the_same_answer(backend: TorchBackend) -> None:
    tensor = pictures(2)
    expected = backend.infer(tensor).copy()
    tensor.flags.writeable = False
    np.testing.assert_array_equal(backend.infer(tensor), expected)


def test_each_thread_gets_the_answer_to_its_own_pictures(backend: TorchBackend, present: UltralyticsBackend) -> None:
    """Three at once on two lanes: one waits; an answer holds while the others ask on."""
    asked = [pictures(1 + number, seed=10 + number) for number in range(LANES + 1)]
    expected = [present.infer(tensor) for tensor in asked]
    wrong: list[float] = []

    def ask(tensor: UInt8, answer: Float32) -> None:
        for _ in range(8):
            gap = float(np.abs(backend.infer(tensor) - answer).max())
            if not gap <= 1e-3:
                wrong.append(gap)

    threads = [threading.Thread(target=ask, args=both) for both in zip(asked, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_detections_are_those_of_the_whole_answer(weights: Path, present: UltralyticsBackend) -> None:
    """Across thresholds that cut all, some and none of the anchors."""
    tensor = pictures(4, seed=3)
    scores = np.sort(present.infer(tensor)[:, 4:].max(axis=1).ravel())
    reduced = torch_backend(weights)
    for min_score in (float(scores[0]), float(scores[-40]), float(scores[-1]) + 0.01):
        assert reduced.infer(tensor, min_score).shape[2] <= 126
        for one, other in zip(_found(reduced, tensor, min_score), _found(present, tensor, min_score), strict=True):
            np.testing.assert_allclose(one.xyxy, other.xyxy, atol=1e-2)
            np.testing.assert_allclose(one.score, other.score, atol=1e-4)
            np.testing.assert_array_equal(one.class_id, other.class_id)


def test_a_larger_batch_than_it_was_loaded_for_is_refused(backend: TorchBackend) -> None:
    with pytest.raises(StageError, match="a batch of 7 frames; the model was loaded for 6 at most"):
        backend.infer(pictures(7))


def test_no_frames_get_no_answers(backend: TorchBackend) -> None:
    assert len(backend.infer(pictures(0))) == 0


def test_a_rectangle_the_model_cannot_take_is_refused_at_the_start(weights: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot take 4 frames at once; lower models\.<name>\.max_batch"):
        TorchBackend(whole(weights), (33, 47), 4)


def test_a_device_that_gives_up_loses_the_call_and_not_the_lane(weights: Path) -> None:
    backend = torch_backend(weights)
    tensor = pictures(1)
    expected = backend.infer(tensor).copy()
    handle = backend._module.register_forward_pre_hook(_out_of_memory)
    for _ in range(LANES + 1):
        with pytest.raises(StageError, match=r"no room on the GPU for a batch of 1; lower models\.<name>\.max_batch"):
            backend.infer(tensor)
    handle.remove()
    np.testing.assert_array_equal(backend.infer(tensor), expected)


def test_only_heads_it_knows_are_taken(present: UltralyticsBackend) -> None:
    assert is_supported(present.module)
    assert not is_supported(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3)))


def test_what_runs_it_is_told(weights: Path) -> None:
    assert torch_backend(weights, 1, make_stream=lambda _: CpuStream()).runtime.endswith(", no graphs")
    assert torch_backend(weights, 1, make_stream=SameMemory).runtime.endswith("32, graphs")


def test_where_a_size_cannot_be_captured_all_run_without_and_one_warning_says_so(
    weights: Path, present: UltralyticsBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend = torch_backend(weights, 4, NoCapture)
    assert [record.message for record in caplog.records] == [
        "no CUDA graphs, batches take longer to launch: operation not permitted when stream is capturing"
    ]
    assert backend.runtime.endswith(", no graphs")
    for count in (1, 4):
        np.testing.assert_allclose(backend.infer(pictures(count)), present.infer(pictures(count)), atol=1e-3)


def _out_of_memory(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")


def _found(backend: TorchBackend | UltralyticsBackend, tensor: UInt8, min_score: float) -> list[Detections]:
    detector = Detector(backend, settings(min_score=max(min_score, 0.001), image_size=SMALL_HW), "line")
    count = len(tensor)
    prepared = Prepared(
        tensor,
        np.tile(np.array([[1, 1, 0, 0]], np.float32), (count, 1)),
        np.tile(np.array([[96, 64]], np.int32), (count, 1)),
        tuple(range(count)),
        (STATS,) * count,
    )
    answers = detector.detect(prepared).detections
    return [answer for answer in answers if isinstance(answer, Detections)]
