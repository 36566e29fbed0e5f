"""torchvision's compiled operators do not load beside every build of PyTorch; there ultralytics' own stand in."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch

_kept: list[Any] = []  # a library's operators end with it


def make_importable() -> str:
    """Which non-maximum suppression `import torchvision` will bring. To be called before anything imports it."""
    if _loads():
        return "torchvision's"
    from ultralytics.utils.nms import TorchNMS

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", lambda boxes, scores, iou: TorchNMS.nms(boxes, scores, iou), "CPU")
    _kept.append(library)
    import torchvision.extension

    torchvision.extension._has_ops = lambda: True
    return "ultralytics' own in PyTorch"


def _loads() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or "torchvision" in sys.modules:
        return found is not None
    try:
        torch.ops.load_library(str(Path(found.origin).parent / "_C.so"))
    except OSError:
        return False
    return True
