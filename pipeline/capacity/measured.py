"""What was measured on the machine a plan is made on, in place of the tables."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.capacity.cost import Cost
from stages.detect.settings import Runtime


@dataclass(frozen=True, slots=True)
class Measured:
    """Costs of this machine; milliseconds of a core, `gpu_ms` of the GPU."""

    decode_ms: Cost
    picture_ms: Cost
    prepare_ms: Cost
    runtime: Runtime
    cpu_ms: Cost
    gpu_ms: Cost | None  # None: the model ran on the CPU
