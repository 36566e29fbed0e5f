"""What this machine offers a model: processors, a GPU, runtimes."""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CPUINFO = Path("/proc/cpuinfo")
_BYTE_FLAGS = {"amx": {"amx_int8"}, "vnni": {"avx512_vnni", "avx_vnni"}}  # the faster first
GPU_NODES = ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/dxg")  # a card, a Jetson, WSL


def usable_cpus(quota_file: Path = CGROUP_QUOTA) -> int:
    """CPUs this process may use: its affinity, capped by its container's quota; at least 1."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()[:2]
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, math.ceil(int(quota) / int(period))))


def has_cuda() -> bool:
    """True where torch can use an NVIDIA GPU; torch is imported only where there may be one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not any(Path(node).exists() for node in GPU_NODES):
        return False
    import torch

    return torch.cuda.is_available()


def byte_arithmetic(cpuinfo: Path = CPUINFO) -> str | None:
    """The instructions this CPU has for 8-bit models (amx, vnni); None where it has none, or nobody can tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return next((name for name, known in _BYTE_FLAGS.items() if not known.isdisjoint(flags)), None)


def is_installed(module: str) -> bool:
    """True where the module could be imported; nothing is."""
    return importlib.util.find_spec(module) is not None
