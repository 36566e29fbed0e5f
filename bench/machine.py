"""What a figure was measured on and with: the machine's name, and COCO weights."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import psutil

SHARED_WEIGHTS = Path(__file__).parents[2] / "shared" / "data" / "weights" / "yolo11n.pt"


def machine() -> dict[str, Any]:
    """Which machine this is, and how busy: figures of two machines, or of a busy one, are not comparable."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "load_1min": round(psutil.getloadavg()[0], 2),
    }


def weights() -> str:
    """Path of COCO yolo11n; the same architecture with random weights where the shared data is absent."""
    if SHARED_WEIGHTS.exists():
        return str(SHARED_WEIGHTS)
    from ultralytics import YOLO

    path = Path.home() / ".cache" / "rayline" / "yolo11n-random.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        YOLO("yolo11n.yaml").save(str(path))
    return str(path)


def weights_name(path: str) -> str:
    """For people: what `weights` gave."""
    return "shared yolo11n" if path == str(SHARED_WEIGHTS) else "random yolo11n"
