"""The main job's speed beside the bare model, in one run: `python -m bench.pipeline --cameras 4 --json FILE`.

The model alone is measured first, between and last, with the same threads and nothing else running; the median of the
three bests counts. Between them the whole pipeline runs at saturation and at half load. Cameras are real RTSP streams,
640x360 at 30 frames/s; the model is COCO yolo11n at 640x384 (the same architecture with random weights where the shared
data is absent).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import psutil
from pydantic import SecretStr

from bench import processes
from pipeline.config import RaylineConfig, config_of_data
from pipeline.running import Rayline, started
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisSettings

SHARED_WEIGHTS = Path(__file__).parents[2] / "shared" / "data" / "weights" / "yolo11n.pt"
WARM_UP_S = 8.0
LATENCY_KEYS = (50, 95, 99)


def main() -> None:
    """Measure and tell."""
    options = _options()
    weights = _weights()
    before = _bare(weights, options.runtimes)
    with _farm(options.cameras) as urls:
        saturated = _pipeline(_config(urls, weights, None), options.seconds)
    between = _bare(weights, options.runtimes)
    half = saturated["fps"] / 2 / options.cameras
    with _farm(options.cameras) as urls:
        half_load = _pipeline(_config(urls, weights, half), options.seconds)
    after = _bare(weights, options.runtimes)
    bare = median([max(before.values()), max(between.values()), max(after.values())])
    report = {
        "bare_fps": round(bare, 2),
        "fps": saturated["fps"],
        "ratio": round(saturated["fps"] / bare, 3),
        "latency_ms": {"saturated": saturated["latency_ms"], "half_load": half_load["latency_ms"]},
        "cpu_ms_per_frame": saturated["cpu_ms_per_frame"],
        "rss_mb": saturated["rss_mb"],
        "half_load_fps": half_load["fps"],
        "bare": {"before": before, "between": between, "after": after},
        "dropped": saturated["dropped"],
        "cameras": options.cameras,
        "weights": "shared yolo11n" if weights == str(SHARED_WEIGHTS) else "random yolo11n",
        "machine": _machine(),
    }
    text = json.dumps(report, indent=2)
    sys.stdout.write(text + "\n")
    if options.json is not None:
        options.json.write_text(text + "\n")


def _pipeline(config: RaylineConfig, seconds: float) -> dict[str, Any]:
    with started(config) as rayline:
        _until_published(rayline)
        time.sleep(WARM_UP_S)
        cpu, since = processes.cpu_seconds(), time.time()
        peak: dict[str, float] = {}
        while time.time() - since < seconds:
            time.sleep(1.0)
            for name, held in processes.rss_mb().items():
                peak[name] = max(peak.get(name, 0.0), held)
        used, until = processes.cpu_seconds(), time.time()
        messages = asyncio.run(_published(rayline.redis_url))
    inside = [m for m in messages if since <= m["published"] < until]
    latencies = sorted(m["latency_ms"]["total"] for m in inside)
    return {
        "fps": round(len(inside) / (until - since), 2),
        "latency_ms": {f"p{q}": round(latencies[len(latencies) * q // 100], 1) for q in LATENCY_KEYS},
        "cpu_ms_per_frame": {
            name: round((used[name] - cpu[name]) * 1e3 / max(1, len(inside)), 2) for name in sorted(used)
        },
        "rss_mb": {**{name: round(held) for name, held in sorted(peak.items())}, "total": round(sum(peak.values()))},
        "dropped": sum(sum(m["dropped_since_last"].values()) for m in inside),
    }


def _until_published(rayline: Rayline, timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not asyncio.run(_published(rayline.redis_url, 1)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing was published within {timeout_s:.0f} s")
        time.sleep(0.5)


async def _published(redis_url: str, count: int = 100_000) -> list[dict[str, Any]]:
    """All detection messages so far, each with `published`: Unix seconds."""
    messages = []
    async with StreamReader(RedisSettings(url=SecretStr(redis_url))) as reader:
        for seen in await reader.cameras():
            stream = f"rayline:{{{seen.line}}}:detections:{seen.camera}"
            for entry in await reader.read(stream, count=count):
                message = orjson.loads(entry.data)
                message["published"] = int(entry.entry_id.partition("-")[0]) / 1e3
                messages.append(message)
    return messages


def _config(urls: Sequence[str], weights: str, fps: float | None) -> RaylineConfig:
    return config_of_data(
        {
            "redis": {"url": "embedded"},
            "models": {"coco": {"weights": weights, "image_size": [384, 640]}},
            "recipes": {"all": {"model": "coco"}},
            "cameras": {f"cam-{n}": {"url": url, "fps": fps} for n, url in enumerate(urls, 1)},
            "observe": {"level": "warning", "metrics_port": None},
        },
        "bench",
    )


def _bare(weights: str, runtimes: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.bare", "--weights", weights, "--runtimes", runtimes]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)  # noqa: S603 - ours
    figures: dict[str, float] = json.loads(answer.stdout.strip().splitlines()[-1])
    return figures


@contextmanager
def _farm(cameras: int) -> Iterator[list[str]]:
    command = [sys.executable, "-m", "bench.farm", f"--cameras={cameras}"]
    farm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    assert farm.stdin is not None  # noqa: S101 - asked for above
    assert farm.stdout is not None  # noqa: S101 - asked for above
    try:
        yield json.loads(farm.stdout.readline())
    finally:
        farm.stdin.close()
        farm.wait(15)


def _weights() -> str:
    if SHARED_WEIGHTS.exists():
        return str(SHARED_WEIGHTS)
    from ultralytics import YOLO

    path = Path.home() / ".cache" / "rayline" / "yolo11n-random.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        YOLO("yolo11n.yaml").save(str(path))
    return str(path)


def _machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="measured at each load")
    parser.add_argument("--runtimes", default="openvino,onnx,torch", help="runtimes the bare model is measured with")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
