"""One face for every runtime, and the choice of the fastest this machine has."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stages.detect.export import ExportFailed, ExportPlan, export_once
from stages.detect.machine import has_cuda, is_installed, usable_cpus
from stages.detect.settings import ModelSettings, Runtime
from stages.detect.weights import Weights, WeightsFormat, find_weights
from stages.errors import ModelError
from stages.values import Float32, UInt8

if TYPE_CHECKING:
    from stages.detect.ultralytics_backend import UltralyticsBackend

logger = logging.getLogger(__name__)


class Backend(Protocol):
    """A loaded model. Two threads may call at once: what cannot run side by side waits in here."""

    names: tuple[str, ...]  # class names by class id
    sha256: str  # of the weights, not of what they were exported to
    runtime: str  # for people: "openvino cpu f32, 2 threads"

    def infer(self, tensor: UInt8, min_score: float = 0.0) -> Float32:
        """Raw answers for (n, 3, h, w) uint8 RGB: (n, 4 + classes, anchors) or, end to end, (n, boxes, 6);
        model pixels.

        `n` is at most the settings' max_batch. Anchors whose best class does not reach `min_score` may be
        missing: a GPU keeps them, for most of an answer is of that kind. The array is the backend's own and holds until
        this thread's next call. Raises StageError if the device gives up.
        """
        ...


def load_backend(settings: ModelSettings) -> Backend:
    """The model these settings name, checked, exported if that is faster, and loaded; not yet warm.

    Raises ModelError for weights or a runtime that cannot be used.
    """
    cache_dir = _cache_dir(settings)
    weights = find_weights(settings, cache_dir)
    runtime = choose_runtime(settings.runtime, weights.format, has_cuda())
    try:
        return _load(runtime, settings, weights, cache_dir)
    except ExportFailed as exc:
        if settings.runtime is not Runtime.AUTO:
            raise
        logger.warning("%s; running it in torch, which is slower", exc)
        return _load(Runtime.TORCH, settings, weights, cache_dir)


def onnx_of(settings: ModelSettings) -> Path:
    """The .onnx file of a .pt, exported once, or the .onnx these settings name. Raises ModelError for other weights."""
    cache_dir = _cache_dir(settings)
    weights = find_weights(settings, cache_dir)
    if weights.format not in (WeightsFormat.PT, WeightsFormat.ONNX):
        raise ModelError(f"{weights.path}: no .onnx can be made of it; give the .pt it comes from")
    return _as_onnx(settings, weights, cache_dir, settings.threads or usable_cpus())


def choose_runtime(wanted: Runtime, weights_format: WeightsFormat, cuda: bool) -> Runtime:
    """The runtime to use for this kind of weights. Raises ModelError where the wanted one cannot be had."""
    possible = _possible(weights_format, cuda)
    if wanted is Runtime.AUTO:
        if not possible:
            raise ModelError(f"no runtime for .{weights_format} weights is installed here; `rayline doctor` tells more")
        return possible[0]
    if wanted not in possible:
        offered = ", ".join(possible) or "none"
        raise ModelError(
            f"runtime {wanted} cannot run .{weights_format} weights on this machine; possible here: {offered}"
        )
    return wanted


def _possible(weights_format: WeightsFormat, cuda: bool) -> tuple[Runtime, ...]:
    """Runtimes for these weights, fastest first as measured (docs/decisions/0002-runtime.md)."""
    tensorrt = (Runtime.TENSORRT,) if cuda and is_installed("tensorrt") else ()
    openvino = (Runtime.OPENVINO,) if is_installed("openvino") else ()
    onnx = (Runtime.ONNX,) if is_installed("onnxruntime") else ()
    torch = (Runtime.TORCH,) if is_installed("ultralytics") else ()
    match weights_format:
        case WeightsFormat.PT:
            return (*tensorrt, *torch, *openvino, *onnx) if cuda else (*openvino, *onnx, *torch)
        case WeightsFormat.ONNX:
            return (*onnx, *openvino) if cuda else (*openvino, *onnx)
        case WeightsFormat.OPENVINO:
            return openvino
        case WeightsFormat.ENGINE:
            return tensorrt


def _load(runtime: Runtime, settings: ModelSettings, weights: Weights, cache_dir: Path) -> Backend:
    threads = settings.threads or usable_cpus()
    match runtime:  # imported here: each brings its library, and only one of them is needed
        case Runtime.OPENVINO:
            from stages.detect.openvino_backend import OpenVinoBackend

            path = _as_onnx(settings, weights, cache_dir, threads)
            return OpenVinoBackend(path, weights.sha256, settings.image_size, threads, half=settings.half is True)
        case Runtime.ONNX:
            from stages.detect.onnx_backend import OnnxBackend

            path = _as_onnx(settings, weights, cache_dir, threads)
            return OnnxBackend(path, weights.sha256, settings.image_size, threads)
        case _:
            from stages.detect.ultralytics_backend import UltralyticsBackend

            path, trusted = weights.path, weights.trusted
            half = has_cuda() if settings.half is None else settings.half
            if runtime is Runtime.TENSORRT and weights.format is WeightsFormat.PT:
                path = _as_engine(settings, weights, cache_dir, threads, half)
            loaded = UltralyticsBackend(path, weights.sha256, threads, half, trusted)
            return _on_gpu(loaded, settings) if path.suffix == ".pt" and loaded.device.type == "cuda" else loaded


def _on_gpu(loaded: UltralyticsBackend, settings: ModelSettings) -> Backend:
    """A .pt's own way on a GPU, where its head is of the kind that way knows."""
    from stages.detect.torch_backend import TorchBackend, is_supported

    if not is_supported(loaded.module):
        return loaded
    return TorchBackend(loaded, settings.image_size, settings.max_batch)


def _as_onnx(settings: ModelSettings, weights: Weights, cache_dir: Path, threads: int) -> Path:
    if weights.format is not WeightsFormat.PT:
        return weights.path
    plan = ExportPlan("onnx", settings.image_size, settings.max_batch, False, weights.trusted, threads)
    return export_once(weights, plan, cache_dir, settings.export_timeout_s)


def _as_engine(settings: ModelSettings, weights: Weights, cache_dir: Path, threads: int, half: bool) -> Path:
    import tensorrt  # type: ignore[import-not-found]
    import torch

    device = f"{torch.cuda.get_device_name().replace(' ', '_')}-trt{tensorrt.__version__}"
    plan = ExportPlan("engine", settings.image_size, settings.max_batch, half, weights.trusted, threads, device)
    return export_once(weights, plan, cache_dir, settings.export_timeout_s)


def _cache_dir(settings: ModelSettings) -> Path:
    if settings.cache_dir is not None:
        return Path(settings.cache_dir).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "rayline" / "models"
