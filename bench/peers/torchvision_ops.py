"""torchvision's compiled operators do not load beside every build of PyTorch; there others stand in."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_kept: list[Any] = []  # a library's operators end with it


def make_importable(nms: Callable[[Any, Any, float], Any] | None = None) -> bool:
    """To be called before anything imports torchvision; True: its own operators load, and `nms` is not needed.

    Without `nms` torchvision can be imported where they do not load, but no suppression be run.
    """
    if _loads():
        return True
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    if nms is not None:
        library.impl("nms", nms, "CPU")
    _kept.append(library)
    import torchvision.extension

    torchvision.extension._has_ops = lambda: True
    return False


def _loads() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or "torchvision" in sys.modules:
        return found is not None
    try:
        torch.ops.load_library(str(Path(found.origin).parent / "_C.so"))
    except OSError:
        return False
    return True
