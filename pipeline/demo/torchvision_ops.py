"""Lets torchvision be imported where its compiled part does not fit the installed torch."""

import importlib.metadata
import importlib.util
from typing import Any, cast

import torch

_kept: list[Any] = []  # operators live only as long as their library object


def ensure_torchvision() -> None:
    """Make `import torchvision` work. Call it before anything imports torchvision; more than once does no harm.

    Where the compiled operators load, nothing is changed. Elsewhere the one operator the trainer needs, non-maximum
    suppression, is put in their place, written in torch.
    """
    if _kept or _compiled_operators_load():
        return
    from ultralytics.utils.nms import TorchNMS

    library: Any = cast(Any, torch.library.Library)("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", lambda dets, scores, threshold: TorchNMS.nms(dets, scores, threshold), "CPU")
    _kept.append(library)
    extension: Any = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("training needs torchvision")
    files = importlib.metadata.files("torchvision") or []
    for file in files:
        if file.name in ("_C.so", "_C.pyd"):
            try:
                cast(Any, torch.ops).load_library(str(file.locate()))
            except OSError:
                return False
            return True
    return False
