"""What an image costs, by model: measured here, published by others, or scaled by the work the model does."""

from __future__ import annotations

from pipeline.capacity.cost import Cost, Known
from pipeline.capacity.demand import DemandError, Model
from pipeline.capacity.model_table import CPU_MS, CPU_SIZE, CPU_SOURCE, GFLOPS_640, GPU_MS_640, GPU_SOURCES
from pipeline.names import choices, did_you_mean
from stages.detect.settings import Runtime

_FULL = (640, 640)  # what GFLOPS_640 and the published times are for


def cpu_ms(model: Model, runtime: Runtime) -> Cost:
    """Core-milliseconds an image. Raises DemandError for a model or a runtime nobody measured."""
    if model.cpu_ms is not None:
        return Cost(model.cpu_ms, Known.GIVEN, "--cpu-ms")
    name = known_name(model, "--cpu-ms")
    of_runtime = CPU_MS.get(runtime)
    if of_runtime is None:
        raise DemandError(f"--runtime {runtime}: measured on CPUs were {choices(CPU_MS)}; else give --cpu-ms")
    source = CPU_SOURCE.format(runtime=runtime)
    nearest = _nearest(name, of_runtime)
    cost = Cost(of_runtime[nearest], Known.MEASURED, f"{nearest}, {source}")
    if nearest != name:
        cost = cost.scaled(GFLOPS_640[name] / GFLOPS_640[nearest], f"by the FLOPs of {name}")
    return _resized(cost, model.image_size, CPU_SIZE)


def gpu_ms(model: Model, gpu: str | None) -> Cost:
    """Milliseconds of a GPU an image. Raises DemandError where there is no figure with a source."""
    if model.gpu_ms is not None:
        return Cost(model.gpu_ms, Known.GIVEN, "--gpu-ms")
    name = known_name(model, "--gpu-ms")
    if gpu is None or gpu not in GPU_MS_640:
        asked = "a GPU, but which? --gpu" if gpu is None else f"--gpu {gpu}"
        raise DemandError(
            f"{asked}: published times are known for {choices(GPU_MS_640)} only. For another card give --gpu-ms, "
            "your own figure, or run this with --measure and without --gpu on a machine that has one"
        )
    of_card = GPU_MS_640[gpu]
    nearest = _nearest(name, of_card)
    cost = Cost(of_card[nearest], Known.PUBLISHED, f"{nearest}, {GPU_SOURCES[gpu]}")
    if nearest != name:
        cost = cost.scaled(GFLOPS_640[name] / GFLOPS_640[nearest], f"by the FLOPs of {name}")
    return _resized(cost, model.image_size, _FULL)


def table_name(text: str) -> str | None:
    """What the tables call a model: yolov8n for yolov8n.pt. None for one they do not know."""
    name = text.removesuffix(".pt").lower()
    return name if name in GFLOPS_640 else None


def known_name(model: Model, option: str) -> str:
    """The model's name in the table. Raises DemandError, naming `option` as the way out."""
    name = table_name(model.name)
    if name is not None:
        return name
    near = did_you_mean(model.name, GFLOPS_640)
    hint = f"did you mean {near}? " if near else ""
    raise DemandError(
        f"--model {model.name}: {hint}its work is not known; known are {choices(GFLOPS_640, 40)}. For other weights "
        f"give --measure, or the time of one image by {option}"
    )


def _nearest(name: str, timed: dict[str, float]) -> str:
    """The timed model to scale from: itself, else of its family, else of any, the nearest in FLOPs."""
    family = {other for other in timed if other[:-1] == name[:-1]} or set(timed)
    wanted = GFLOPS_640[name]
    return min(sorted(family), key=lambda other: max(GFLOPS_640[other] / wanted, wanted / GFLOPS_640[other]))


def _resized(cost: Cost, image_size: tuple[int, int], timed_size: tuple[int, int]) -> Cost:
    if image_size == timed_size:
        return cost
    height, width = image_size
    factor = height * width / (timed_size[0] * timed_size[1])
    return cost.scaled(factor, f"by the area of {width}x{height} against {timed_size[1]}x{timed_size[0]}")
