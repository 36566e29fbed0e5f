"""Rayline itself: the main job, cameras to messages in Redis. Its latency starts at the capture, not at the grab."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import Any

from bench.measured import Measured, measure
from bench.peers.adapter import IMAGE_SIZE, IOU, MIN_SCORE, WARM_UP_S, answer, parser, quantiles
from bench.processes import NOT_RAYLINE
from pipeline.config import config_of_data


def main() -> None:
    """Run until the time is over; one JSON line."""
    options = parser(__doc__)
    options.add_argument("--runtime", default="auto", help="as in the configuration")
    asked = options.parse_args()
    model = {
        "weights": asked.weights,
        "image_size": list(IMAGE_SIZE),
        "min_score": MIN_SCORE,
        "iou": IOU,
        "runtime": asked.runtime,
        "threads": asked.threads,
    }
    config = config_of_data(
        {
            "redis": {"url": "embedded"},
            "models": {"coco": model},
            "recipes": {"all": {"model": "coco"}},
            "cameras": {f"cam-{n}": {"url": url} for n, url in enumerate(asked.urls, 1)},
            "observe": {"level": "warning", "metrics_port": None},
        },
        "bench",
    )
    measured = measure(config, asked.seconds, warm_up_s=WARM_UP_S)
    runtime = next((str(message["model"]["runtime"]) for message in measured.whole.messages), "unknown")
    answer(_figures(measured), version=f"rayline {version('rayline')}", runtime=runtime, tracker="ByteTrack")


def _figures(measured: Measured) -> dict[str, Any]:
    whole = measured.whole
    frames = Counter(message["camera"] for message in whole.messages)
    return {
        "frames": len(whole.messages),
        "seconds": round(whole.until - whole.since, 3),
        "frames_by_camera": [frames[camera] for camera in sorted(frames)],
        "latency_ms": quantiles([message["latency_ms"]["total"] for message in whole.messages]),
        "cpu_s": round(sum(used for name, used in whole.cpu_s.items() if name not in NOT_RAYLINE), 2),
    }


if __name__ == "__main__":
    main()
