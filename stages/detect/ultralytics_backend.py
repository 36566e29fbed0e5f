"""Every other format, through ultralytics' AutoBackend: .engine in TensorRT, .pt on a CPU or of an unknown head."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

import numpy as np

from stages.detect.metadata import ordered
from stages.detect.vendor import LOAD_ERRORS, check_pickle, prepare_ultralytics
from stages.errors import ModelError, StageError
from stages.values import Float32, UInt8

prepare_ultralytics()

import torch  # noqa: E402 - ultralytics must find its environment set
from ultralytics.nn.autobackend import AutoBackend  # noqa: E402

from stages.detect.torch_reduce import reached_only  # noqa: E402


class UltralyticsBackend:
    """AutoBackend on the GPU where there is one; bytes travel there and become 0..1 on it."""

    def __init__(
        self,
        path: Path,
        sha256: str,
        threads: int,
        half: bool = False,
        trusted: bool = False,
        device: str | None = None,
    ) -> None:
        """`device`: None is the first GPU, or the CPU without one.

        Raises ModelError where ultralytics cannot load the file, or it may not be trusted.
        """
        self.sha256 = sha256
        self._device = torch.device(device or ("cuda:0" if torch.cuda.is_available() else "cpu"))
        torch.set_num_threads(threads)
        try:
            if path.suffix == ".pt":
                check_pickle(path, trusted)
            # One head for all runtimes: the one ultralytics also exports.
            self._model = AutoBackend(str(path), device=self._device, fp16=half, verbose=False, end2end=False)
        except LOAD_ERRORS as exc:
            raise ModelError(f"{path}: ultralytics cannot load it: {' '.join(str(exc).split())}") from exc
        task = self._model.task or getattr(self._model.backend.model, "task", None)  # a .pt tells it by its module
        if task not in (None, "detect"):
            raise ModelError(f"{path}: a model for {task}; Rayline needs one for detection")
        self._turn = threading.Lock()  # a TensorRT engine answers into buffers of its own, one call at a time
        # AutoBackend.warmup() is never called: it imports torchvision, which a CPU build of torch may not load.
        self.names = ordered(path, self._model.names)
        library = "tensorrt" if path.suffix == ".engine" else "torch"
        precision = "f16" if self._model.fp16 else "f32"
        self.runtime = f"{library} {self._device.type} {precision}, {threads} threads"

    @property
    def module(self) -> torch.nn.Module:
        """What a .pt was loaded to, fused, on the device."""
        return cast(torch.nn.Module, self._model.backend.model)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._device

    @property
    def half(self) -> bool:
        """True where it takes 16-bit floats."""
        return bool(self._model.fp16)

    def infer(self, tensor: UInt8, min_score: float = 0.0) -> Float32:
        """As `Backend.infer`."""
        try:
            with self._turn, torch.inference_mode():
                pixels = torch.from_numpy(_writable(tensor)).to(self._device)
                answers = self._model(pixels.to(torch.half if self._model.fp16 else torch.float32).div_(255))
                first = answers[0] if isinstance(answers, list | tuple) else answers
                if self._device.type == "cuda":
                    first = reached_only(first, min_score)
                return cast(Float32, first.float().cpu().numpy())
        except RuntimeError as exc:  # torch.OutOfMemoryError is one
            raise StageError(f"torch gave up on a batch of {len(tensor)}: {exc}") from exc


def _writable(tensor: UInt8) -> UInt8:
    """torch warns of arrays it could write to and must not, as those out of the object store; it only reads here."""
    return tensor if tensor.flags.writeable else np.array(tensor)
