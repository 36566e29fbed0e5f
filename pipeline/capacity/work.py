"""What the model's work costs: by cores, or by GPUs."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.capacity import models
from pipeline.capacity.cost import Cost, Known
from pipeline.capacity.demand import Demand, DemandError
from pipeline.capacity.measured import Measured
from stages.detect.settings import Runtime

_ON_CPU = (Runtime.OPENVINO, Runtime.ONNX)
# What feeding a GPU takes of a core an image, beside letterbox and boxes; nobody measured it yet.
_HOST_MS = Cost(2.0, Known.ASSUMED, "feeding the GPU; not measured")


@dataclass(frozen=True, slots=True)
class ModelWork:
    """One image: core-milliseconds, and milliseconds of a GPU where it runs on one."""

    runtime: Runtime
    cpu_ms: Cost
    gpu_ms: Cost | None


def model_work(demand: Demand, measured: Measured | None) -> ModelWork:
    """By what was measured here, given, or found in the tables. Raises DemandError where nothing is known."""
    model, gpu = demand.model, demand.site.gpu
    on_gpu = gpu is not None or model.gpu_ms is not None
    if on_gpu and model.runtime in _ON_CPU:
        raise DemandError(f"--runtime {model.runtime} runs on CPUs: leave it, or leave --gpu and --gpu-ms")
    if measured is not None and not on_gpu:
        return ModelWork(measured.runtime, measured.cpu_ms, measured.gpu_ms)
    if on_gpu or model.runtime is Runtime.TENSORRT:
        runtime = Runtime.TENSORRT if model.runtime is Runtime.AUTO else model.runtime
        if runtime is Runtime.TORCH and model.gpu_ms is None:
            raise DemandError("--runtime torch on a GPU: the published times are TensorRT's; give --gpu-ms")
        return ModelWork(runtime, _HOST_MS, models.gpu_ms(model, gpu))
    runtime = Runtime.OPENVINO if model.runtime is Runtime.AUTO else model.runtime
    return ModelWork(runtime, models.cpu_ms(model, runtime), None)
