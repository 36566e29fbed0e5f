"""How cost grows with cameras: `python -m bench.scale --cameras 1,4,16,64 --json FILE`.

A small model (COCO yolo11n at 64x64, measured alone first) and few frames a second, so that what is measured is what
cameras cost, not detection. One coded loop is fanned out to all cameras; what the farm uses is left out of every
figure. For each number of cameras Rayline is started anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.bare import bare_fps
from bench.cameras import farm
from bench.figures import line_through
from bench.machine import machine, weights, weights_name
from bench.measured import Measured, measure
from bench.processes import NOT_RAYLINE
from bench.results import tell
from pipeline.config import RaylineConfig, config_of_data

IMAGE_SIZE = (64, 64)
WINDOWS = 3
WARM_UP_S = 15.0
INGEST_CPUS = 0.05  # a share for placement only: sixteen readers and more fit two cores


def main() -> None:
    """Measure each number of cameras and tell."""
    options = _options()
    here, path = machine(), weights()
    model = bare_fps(path, options.runtime, IMAGE_SIZE)
    steps = [_step(path, count, options) for count in map(int, options.cameras.split(","))]
    report = {
        "bench": "scale",
        "steps": steps,
        **growth(steps),
        "frames_per_camera_per_s": options.fps,
        "camera_fps": options.camera_fps,
        "shard_size": options.shard_size,
        "model_ms": round(1e3 / model[f"{options.runtime} b1"], 2),
        "model": f"{weights_name(path)} at {IMAGE_SIZE[1]}x{IMAGE_SIZE[0]}, {options.runtime}",
        "machine": here,
    }
    tell(report, options.json)


def growth(steps: Sequence[Mapping[str, Any]], base: int = 4) -> dict[str, Any]:
    """How the largest step compares with that of `base` cameras, where both were measured."""
    by_cameras = {step["cameras"]: step for step in steps}
    most = max(by_cameras)
    if base not in by_cameras or most <= base:
        return {}
    few, many = by_cameras[base], by_cameras[most]
    added = most - base
    grown: dict[str, Any] = {
        "from_cameras": base,
        "to_cameras": most,
        "cpu_ratio": round(_cpu_ms(many) / _cpu_ms(few), 3),
        **{
            f"{what}_per_added_camera": round((many[what] - few[what]) / added, 1)
            for what in ("rss_mb", "pss_mb", "anon_mb")
        },
    }
    fixed_ms, per_frame_ms = line_through([(step["fps"], step["fps"] * _cpu_ms(step)) for step in steps])
    return grown | {"fixed_cpu_ms_per_s": round(fixed_ms, 1), "cpu_ms_per_added_frame": round(per_frame_ms, 2)}


def _cpu_ms(step: Mapping[str, Any]) -> float:
    return float(step["rayline_cpu_ms_per_frame"]["median"])


def _step(path: str, cameras: int, options: argparse.Namespace) -> dict[str, Any]:
    with farm(cameras, options.camera_fps) as urls:
        measured = measure(_config(urls, path, options), options.seconds, WINDOWS, WARM_UP_S)
    return {"cameras": cameras, **_figures(measured)}


def _figures(measured: Measured) -> dict[str, Any]:
    ours = {name: held for name, held in sorted(measured.held.items()) if name not in NOT_RAYLINE}
    report = measured.report()
    return {
        **{name: report[name] for name in ("fps", "fps_spread", "latency_ms", "cpu_ms_per_frame", "dropped")},
        "rayline_cpu_ms_per_frame": report["rayline_cpu_ms_per_frame"],
        "cores_used": round(report["fps"] * report["rayline_cpu_ms_per_frame"]["median"] / 1e3, 3),
        "rss_mb": round(sum(held.rss_mb for held in ours.values()), 1),
        "pss_mb": round(sum(held.pss_mb for held in ours.values()), 1),
        "anon_mb": round(sum(held.anon_mb for held in ours.values()), 1),
        "held": {name: asdict(held) for name, held in ours.items()},
    }


def _config(urls: Sequence[str], path: str, options: argparse.Namespace) -> RaylineConfig:
    graph: dict[str, Any] = {"ingest_cpus": INGEST_CPUS, "shard_size": options.shard_size}
    return config_of_data(
        {
            "redis": {"url": "embedded"},
            "models": {"coco": {"weights": path, "image_size": list(IMAGE_SIZE), "runtime": options.runtime}},
            "recipes": {"all": {"model": "coco"}},
            "cameras": {f"cam-{n}": {"url": url, "fps": options.fps} for n, url in enumerate(urls, 1)},
            "graph": graph,
            "observe": {"level": "warning", "metrics_port": None},
        },
        "bench",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", default="1,4,16,64", help="numbers of cameras, each measured anew")
    parser.add_argument("--fps", type=float, default=2.0, help="frames taken of each camera a second")
    parser.add_argument("--camera-fps", type=float, default=5.0, help="frames each camera sends, and that are decoded")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured at each number of cameras")
    parser.add_argument("--shard-size", type=int, default=8, help="cameras an ingest process reads")
    parser.add_argument("--runtime", default="openvino", help="what runs the small model")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
