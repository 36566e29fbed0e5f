"""What a GPU must bring, on an idle machine: measured by bench/gpu.py's own stages, with COCO yolo11n."""

from __future__ import annotations

import pytest
import torch

from bench.gpu import GpuStages, Load, rate, replicas_rate
from bench.machine import weights
from stages.detect.torch_backend import LANES

pytestmark = pytest.mark.timeout(600)

SECONDS = 3.0
LARGE_CARDS = ("H100", "H200", "H800", "B100", "B200", "GB200")


@pytest.fixture(scope="module")
def stages() -> GpuStages:
    return GpuStages(Load(weights()))


@pytest.fixture(scope="module")
def end_to_end() -> float:
    """From decoded pictures to boxes, by as many replicas as serve the card best."""
    return max(replicas_rate(Load(weights()), replicas, SECONDS) for replicas in (1, 2, 4))


def test_a_batch_of_16_is_at_least_three_times_as_fast_as_one(stages: GpuStages) -> None:
    assert rate(stages.infer, 16, 1, SECONDS) >= 3 * rate(stages.infer, 1, 1, SECONDS)


def test_end_to_end_keeps_most_of_the_models_own_speed(stages: GpuStages, end_to_end: float) -> None:
    sizes = [(size, threads) for size in (16, 32, 64) for threads in (1, LANES)]
    assert end_to_end >= 0.85 * max(rate(stages.engine, size, threads, SECONDS) for size, threads in sizes)


@pytest.mark.skipif(
    not any(card in torch.cuda.get_device_name() for card in LARGE_CARDS) if torch.cuda.is_available() else True,
    reason="no GPU of the class this is asked of",
)
def test_a_large_card_takes_two_thousand_frames_a_second(end_to_end: float) -> None:
    assert end_to_end >= 2000
