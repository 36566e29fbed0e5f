"""What only a CUDA device can show: graphs, pinned memory and two streams answer as the plain way does."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.detect.backend import load_backend
from stages.detect.settings import ModelSettings, Runtime
from stages.detect.torch_backend import LANES, TorchBackend
from stages.detect.ultralytics_backend import UltralyticsBackend
from stages.values import Float32, UInt8
from tests.e2e.models import seeded_weights
from tests.unit.stages.detect.torch_models import pictures

HW = (384, 640)
BOX_PX, SCORE = 1.0, 0.01  # 16-bit arithmetic, and other kernels at other batch sizes


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeded_weights(tmp_path_factory.mktemp("weights"), classes=3)


@pytest.fixture(scope="module")
def plain(weights: Path) -> UltralyticsBackend:
    """Eager, on the default stream, whole answers."""
    return UltralyticsBackend(weights, "", threads=1, half=True, trusted=True)


@pytest.fixture(scope="module")
def graphs(weights: Path) -> TorchBackend:
    loaded = UltralyticsBackend(weights, "", threads=1, half=True, trusted=True)
    return TorchBackend(loaded, HW, max_batch=16)


def assert_close(answers: Float32, expected: Float32) -> None:
    assert answers.shape == expected.shape
    np.testing.assert_allclose(answers[:, :4], expected[:, :4], atol=BOX_PX)
    np.testing.assert_allclose(answers[:, 4:], expected[:, 4:], atol=SCORE)


def test_a_pt_on_a_gpu_runs_in_graphs(weights: Path, tmp_path: Path) -> None:
    settings = ModelSettings(weights=str(weights), runtime=Runtime.TORCH, max_batch=4, cache_dir=str(tmp_path))
    assert load_backend(settings).runtime == "torch cuda f16, graphs"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 11, 16])
def test_a_graph_answers_as_the_plain_way(graphs: TorchBackend, plain: UltralyticsBackend, count: int) -> None:
    tensor = pictures(count, seed=count, size_hw=HW)
    assert_close(graphs.infer(tensor), plain.infer(tensor))


def test_a_size_is_still_right_after_all_others_ran(graphs: TorchBackend, plain: UltralyticsBackend) -> None:
    """Each graph reads its own anchors, wherever the head has put newer ones; and memory is shared between sizes."""
    expected = {count: plain.infer(pictures(count, seed=count, size_hw=HW)).copy() for count in (1, 2, 4, 8, 16)}
    filler = [torch.full((1 << 20,), 7.0, device="cuda") for _ in range(64)]  # what was let go of is written over
    for _ in range(2 * LANES):
        for count in (16, 1, 8, 2, 4):
            assert_close(graphs.infer(pictures(count, seed=count, size_hw=HW)), expected[count])
    del filler


def test_threads_get_their_own_answers(graphs: TorchBackend, plain: UltralyticsBackend) -> None:
    """More threads than lanes, batches of different sizes."""
    asked = [pictures(count, seed=count, size_hw=HW) for count in (1, 5, 16)]
    expected = [plain.infer(tensor).copy() for tensor in asked]
    failures: list[str] = []

    def ask(tensor: UInt8, answer: Float32) -> None:
        for _ in range(50):
            try:
                assert_close(graphs.infer(tensor), answer)
            except AssertionError as exc:
                failures.append(str(exc))

    threads = [threading.Thread(target=ask, args=both) for both in zip(asked, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)


def test_no_memory_is_lost_from_call_to_call(graphs: TorchBackend) -> None:
    tensor = pictures(16, size_hw=HW)
    for _ in range(10):
        graphs.infer(tensor)
    before = torch.cuda.memory_allocated()
    for _ in range(200):
        graphs.infer(tensor)
    assert torch.cuda.memory_allocated() <= before
