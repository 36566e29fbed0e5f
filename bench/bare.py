"""How fast the bare model is on this machine: `python -m bench.bare`, in a process of its own, nothing else running."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import median

import numpy as np

from stages.detect.backend import load_backend
from stages.detect.settings import ModelSettings, Runtime

BATCHES = (1, 2, 4, 8)
ROUNDS = 5
COCO_SIZE = (384, 640)
TIMEOUT_S = 600.0


def main() -> None:
    """Measure every runtime and batch asked for; one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--runtimes", default="openvino,onnx")
    parser.add_argument("--image-size", default="x".join(map(str, COCO_SIZE)), help="height and width, as 384x640")
    parser.add_argument("--seconds", type=float, default=2.0, help="per runtime and batch")
    options = parser.parse_args()
    height, width = map(int, options.image_size.split("x"))
    figures = {
        f"{runtime} b{batch}": fps
        for runtime in options.runtimes.split(",")
        for batch, fps in _runtime(options.weights, runtime, (height, width), options.seconds).items()
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def bare_fps(weights: str, runtimes: str, image_size: tuple[int, int] = COCO_SIZE) -> dict[str, float]:
    """Images a second by `RUNTIME bBATCH`, measured in a process of its own."""
    command = [sys.executable, "-m", "bench.bare", "--weights", weights, "--runtimes", runtimes]
    command += ["--image-size", "x".join(map(str, image_size))]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S)  # noqa: S603 - ours
    figures: dict[str, float] = json.loads(answer.stdout.strip().splitlines()[-1])
    return figures


def _runtime(weights: str, runtime: str, image_size: tuple[int, int], seconds: float) -> dict[int, float]:
    settings = ModelSettings(weights=weights, image_size=image_size, runtime=Runtime(runtime), max_batch=max(BATCHES))
    backend = load_backend(settings)
    rng = np.random.default_rng(0)
    figures = {}
    for batch in BATCHES:
        tensor = rng.integers(0, 256, (batch, 3, *image_size), dtype=np.uint8)
        backend.infer(tensor, settings.min_score)
        rates = []
        for _ in range(ROUNDS):
            started, images = time.perf_counter(), 0
            while time.perf_counter() - started < seconds / ROUNDS:
                backend.infer(tensor, settings.min_score)
                images += batch
            rates.append(images / (time.perf_counter() - started))
        figures[batch] = round(median(rates), 2)
    return figures


if __name__ == "__main__":
    main()
