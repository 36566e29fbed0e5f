"""What needs a CUDA device is marked so, and skips where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -m gpu` finds all of this folder; anywhere else it is left out."""
    here = [item for item in items if HERE in item.path.parents]
    if not here:
        return
    import torch

    for item in here:
        item.add_marker(pytest.mark.gpu)
        if not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no GPU"))
