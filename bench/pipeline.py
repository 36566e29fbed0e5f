"""The main job's speed beside the bare model, in one run: `python -m bench.pipeline --cameras 4 --json FILE`.

The model alone is measured first, between and last, with the same threads and nothing else running; the median of the
three bests counts. Between them the whole pipeline runs at saturation and at half load. Cameras are real RTSP streams,
640x360 at 30 frames/s; the model is COCO yolo11n at 640x384 (the same architecture with random weights where the shared
data is absent). `--int8 FILE` runs it once more with a model that `rayline quantize` made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.bare import bare_fps
from bench.cameras import farm
from bench.figures import spread
from bench.machine import machine, weights, weights_name
from bench.measured import measure
from bench.results import tell
from pipeline.config import RaylineConfig, config_of_data

INT8_RUNTIMES = "openvino,onnx"
WINDOWS = 3  # a median and its spread


def main() -> None:
    """Measure and tell."""
    options = _options()
    here, path = machine(), options.weights or weights()
    before = bare_fps(path, options.runtimes)
    with farm(options.cameras) as urls:
        saturated = measure(coco_config(urls, path), options.seconds, WINDOWS).report()
    between = bare_fps(path, options.runtimes)
    half = saturated["fps"] / 2 / options.cameras
    with farm(options.cameras) as urls:
        half_load = measure(coco_config(urls, path, half), options.seconds, WINDOWS).report()
    in_8_bits = _in_8_bits(options) if options.int8 else None
    after = bare_fps(path, options.runtimes)
    bests = [max(before.values()), max(between.values()), max(after.values())]
    bare = median(bests)
    report = {
        "bench": "pipeline",
        "bare_fps": round(bare, 2),
        "bare_fps_spread": spread(bests),
        "bare_ms_one_image": round(1e3 / max(fps for name, fps in between.items() if name.endswith(" b1")), 2),
        "fps": saturated["fps"],
        "fps_spread": saturated["fps_spread"],
        "ratio": round(saturated["fps"] / bare, 3),
        "latency_ms": {"saturated": saturated["latency_ms"], "half_load": half_load["latency_ms"]},
        "cpu_ms_per_frame": saturated["cpu_ms_per_frame"],
        "rss_mb": saturated["rss_mb"],
        "half_load_fps": half_load["fps"],
        "bare": {"before": before, "between": between, "after": after},
        "dropped": saturated["dropped"],
        "cameras": options.cameras,
        "weights": weights_name(path) if options.weights is None else Path(path).name,
        "machine": here,
    }
    if in_8_bits is not None:
        report["int8"] = {
            **in_8_bits,
            "times_as_fast": round(in_8_bits["fps"] / saturated["fps"], 3),
            "bare_times_as_fast": round(in_8_bits["bare_fps"] / bare, 3),
        }
    tell(report, options.json)


def _in_8_bits(options: argparse.Namespace) -> dict[str, Any]:
    """The 8-bit model alone, through the pipeline saturated, and alone again."""
    path = str(options.int8.resolve())  # processes elsewhere read it
    before = bare_fps(path, INT8_RUNTIMES)
    with farm(options.cameras) as urls:
        saturated = measure(coco_config(urls, path), options.seconds, WINDOWS).report()
    after = bare_fps(path, INT8_RUNTIMES)
    bests = [max(before.values()), max(after.values())]
    return {
        "bare_fps": round(median(bests), 2),
        "bare_fps_spread": spread(bests),
        "fps": saturated["fps"],
        "fps_spread": saturated["fps_spread"],
        "ratio": round(saturated["fps"] / median(bests), 3),
        "latency_ms": saturated["latency_ms"],
        "cpu_ms_per_frame": saturated["cpu_ms_per_frame"],
        "bare": {"before": before, "after": after},
    }


def coco_config(urls: Sequence[str], weights: str, fps: float | None = None) -> RaylineConfig:
    """The main job on these cameras, with a Redis of its own; `fps`: what is taken of each, None for all."""
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="measured at each load")
    parser.add_argument("--runtimes", default="openvino,onnx,torch", help="runtimes the bare model is measured with")
    parser.add_argument("--weights", help="a .pt file instead of COCO yolo11n")
    parser.add_argument("--int8", type=Path, metavar="X.onnx", help="the same model in 8 bits, run as well")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
