"""A small model of random weights, its present backend, and the way under test over the same module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.detect.torch_backend import TorchBackend
from stages.detect.torch_stream import CpuStream, Run, Stream, stream_on
from stages.detect.ultralytics_backend import UltralyticsBackend
from stages.values import UInt8
from tests.e2e.models import seeded_weights

SMALL_HW = (64, 96)  # 126 anchors


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """yolo11n of three classes, random."""
    return seeded_weights(tmp_path_factory.mktemp("weights"))


def whole(path: Path) -> UltralyticsBackend:
    """The present way of a .pt: whole answers, on a CPU."""
    return UltralyticsBackend(path, "0" * 64, threads=1, trusted=True, device="cpu")


def torch_backend(
    path: Path,
    max_batch: int = 8,
    make_stream: Callable[[torch.device], Stream] = stream_on,
) -> TorchBackend:
    """The GPU's way, on a CPU."""
    return TorchBackend(whole(path), SMALL_HW, max_batch, make_stream)


class SameMemory(CpuStream):
    """A graph's promise on a CPU: one launch that answers into the same memory each time."""

    captures = True

    def __init__(self, device: torch.device) -> None:
        self.captured_runs = 0

    def captured(self, run: Run) -> Run:
        answers = run().clone()
        self.captured_runs += 1
        return lambda: answers.copy_(run())


class NoCapture(SameMemory):
    """A device that captures one size, and then no more."""

    def captured(self, run: Run) -> Run:
        if self.captured_runs:
            raise RuntimeError("operation not permitted when stream is capturing\nand much more")
        return super().captured(run)


def pictures(count: int, seed: int = 0, size_hw: tuple[int, int] = SMALL_HW) -> UInt8:
    """(count, 3, h, w) of noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, *size_hw), dtype=np.uint8)
