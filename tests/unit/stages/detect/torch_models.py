"""A small model of random weights, its present backend, and the way under test over the same module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.detect.torch_backend import TorchBackend
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
    return UltralyticsBackend(path, "0" * 64, threads=1, trusted=True)


def torch_backend(path: Path, max_batch: int = 8, min_score: float = 0.001) -> TorchBackend:
    """The GPU's way, on whatever device there is."""
    return TorchBackend(whole(path), SMALL_HW, max_batch, min_score)


def pictures(count: int, seed: int = 0, size_hw: tuple[int, int] = SMALL_HW) -> UInt8:
    """(count, 3, h, w) of noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, *size_hw), dtype=np.uint8)
