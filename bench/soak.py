"""Whether anything grows: `python -m bench.soak --minutes 30 --json FILE`.

The demo's inspection runs at a steady, moderate load while memory, open files and threads of every process are sampled.
Slopes are Theil and Sen's over the samples behind the warm-up, with Sen's 95 % interval. "Flat" means that the interval
holds 0, or that the slope is under a limit too small to matter (`FLAT`). Samples of memory hang together, so the true
interval is wider than the one told: what is called flat is, what is not may be.

RSS holds the object store's pages that a process has touched, and so rises until all that circulate were; `anon_mb` is
without them and all other shared pages.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from bench import processes
from bench.cameras import farm
from bench.figures import slope
from bench.machine import machine
from bench.measured import until_published
from bench.processes import NOT_RAYLINE, Held
from bench.results import tell
from pipeline.config import RaylineConfig, config_of_data
from pipeline.config_paths import builtin_weights
from pipeline.running import Rayline, started

EVERY_S = 10.0
ALL = "all"  # Rayline's processes together
FLAT = {"rss_mb": 0.05, "anon_mb": 0.05, "pss_mb": 0.05, "fds": 0.05, "threads": 0.05, "processes": 0.05}  # a minute
JUDGED = ("rss_mb", "anon_mb", "fds")
KEPT = 200  # messages a stream: few, so that Redis is full before the warm-up is over


@dataclass(frozen=True)
class Sample:
    """What was held at a moment, by process name."""

    at_s: float  # since the first
    held: Mapping[str, Held]

    def value(self, name: str, what: str) -> float:
        """`what` is a field of Held; a name that is absent holds nothing."""
        return float(getattr(self.held[name], what)) if name in self.held else 0.0


def main() -> None:
    """Run, sample and tell."""
    options = _options()
    here = machine()
    warm_up_s = options.minutes * 60 * options.warm_up_share
    with farm(options.cameras, options.fps) as urls, started(_config(urls)) as rayline:
        until_published(rayline, len(urls))
        samples = _sampled(rayline, options.minutes * 60)
    slopes = slopes_per_min(samples, warm_up_s)
    report = {
        "bench": "soak",
        "minutes": options.minutes,
        "warm_up_s": round(warm_up_s),
        "is_flat": {what: is_flat(slopes, what) for what in JUDGED},
        "per_min": slopes,
        "flat_below_per_min": FLAT,
        "samples": [
            {"at_s": round(one.at_s, 1), **{n: asdict(held) for n, held in one.held.items()}} for one in samples
        ],
        "cameras": options.cameras,
        "frames_per_camera_per_s": options.fps,
        "machine": here,
    }
    tell(report, options.json)


def slopes_per_min(samples: Sequence[Sample], warm_up_s: float) -> dict[str, dict[str, Any]]:
    """process name -> what is held -> its change a minute and whether that is flat; None with too few samples."""
    judged = [sample for sample in samples if sample.at_s >= warm_up_s]
    names = sorted({name for sample in judged for name in sample.held})
    return {name: {what: _slope(judged, name, what) for what in FLAT} for name in names}


def is_flat(slopes: Mapping[str, Mapping[str, Any]], what: str) -> bool | None:
    """Whether that is so of every process; None if it cannot be told."""
    judged = [found[what] for found in slopes.values()]
    if not judged or None in judged:
        return None
    return all(each["is_flat"] for each in judged)


def _slope(samples: Sequence[Sample], name: str, what: str) -> dict[str, Any] | None:
    found = slope([(sample.at_s, sample.value(name, what)) for sample in samples])
    if found is None:
        return None
    per_min = {"slope": found.per_s, "low": found.low, "high": found.high}
    return {**{key: round(value * 60, 4) for key, value in per_min.items()}, "is_flat": found.is_flat(FLAT[what] / 60)}


def _sampled(rayline: Rayline, seconds: float) -> list[Sample]:
    began = time.monotonic()
    samples: list[Sample] = []
    while (at_s := time.monotonic() - began) < seconds:
        ours = {name: held for name, held in processes.held().items() if name not in NOT_RAYLINE}
        samples.append(Sample(at_s, {ALL: processes.sum_of(ours.values()), **ours}))
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - began - at_s)))
    if failures := rayline.failures():
        raise RuntimeError(f"every camera failed meanwhile: {dict(failures)}")
    return samples


def _config(urls: Sequence[str]) -> RaylineConfig:
    demo = yaml.safe_load((resources.files("configs") / "demo.yaml").read_text())
    demo["models"]["bottles"]["weights"] = str(builtin_weights("bottles"))
    return config_of_data(
        {
            "redis": {"url": "embedded", "maxlen_detections": KEPT, "maxlen_events": KEPT, "maxlen_inspections": KEPT},
            "models": demo["models"],
            "recipes": demo["recipes"],
            "cameras": {f"cam-{n}": {"url": url, "recipe": "bottles"} for n, url in enumerate(urls, 1)},
            "observe": {"level": "warning", "metrics_port": None},
        },
        "bench",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm-up-share", type=float, default=0.25, help="of the time; not judged")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--fps", type=float, default=6.0, help="frames a camera a second")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
