"""How long from picture to message, by clocks that are not Rayline's: `python -m bench.latency --json FILE`.

A camera shows bottles at instants it tells, and a plain Redis client notes when the first message that tells of them
can be read: with that camera alone, and with others beside it at half of what the machine can do. Every frame of the
showing camera is taken; the others send 30 frames/s, of which as many are taken as fill up the load. The same messages'
own `latency_ms.total` is held against it. The model is the demo's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.bare import bare_fps
from bench.cameras import camera_process, farm, first_line
from bench.figures import percentiles, spread
from bench.machine import machine
from bench.measured import measure, until_published
from bench.outside import OutsideReader, ShowListener
from bench.results import tell
from bench.sightings import Told, first_tellings, sighting
from pipeline.config import RaylineConfig, config_of_data
from pipeline.config_paths import builtin_weights
from pipeline.running import started
from pipeline.sinks.keys import camera_keys

IMAGE_SIZE = (256, 416)
SHOWN = "shown"  # the camera's name
WARM_UP_S = 10.0
SETTLE_S = 2.0  # the last show's message must have come
OTHERS_FPS = 29.3  # no multiple of the showing camera's rate: so their frames meet its own at every phase
LEAST_FPS = 0.5  # taken of each of the others, where the showing camera is the load already


def main() -> None:
    """Measure both loads and tell."""
    options = _options()
    here = machine()
    before = bare_fps(_weights(), options.runtime, IMAGE_SIZE)
    saturated = _saturated_fps(options)
    each = max(LEAST_FPS, (saturated / 2 - options.camera_fps) / max(1, options.cameras - 1))
    loads = {"idle": _observe(1, each, options), "half_load": _observe(options.cameras, each, options)}
    after = bare_fps(_weights(), options.runtime, IMAGE_SIZE)
    bare_ms = [1e3 / figures[f"{options.runtime} b1"] for figures in (before, after)]
    report = {
        "bench": "latency",
        "loads": loads,
        "bare_model_ms": spread(bare_ms),
        "saturated_fps": round(saturated, 2),
        "camera_fps": options.camera_fps,
        "model": f"demo's bottles at {IMAGE_SIZE[1]}x{IMAGE_SIZE[0]}, {options.runtime}",
        "machine": here,
    }
    tell(report, options.json)


def figures(told: Sequence[Told], shows: int, fps: float) -> dict[str, Any]:
    """Of one load. A frame that was told of in its turn, not the one behind it, says how true Rayline's clock is."""
    at_once = [one for one in told if one.clock_error_ms < 500 / fps]
    return {
        "shows": shows,
        "missed": shows - len(told),
        "seen_a_frame_late": len(told) - len(at_once),
        "outside_ms": _distribution([one.outside_ms for one in told]),
        "own_ms": _distribution([one.sighting.own_ms for one in told]),
        "clock_error_ms": spread([one.clock_error_ms for one in at_once]) if at_once else None,
        "outside_minus_own_ms": spread([one.outside_ms - one.sighting.own_ms for one in at_once]) if at_once else None,
        "samples_ms": [[round(one.outside_ms, 1), round(one.sighting.own_ms, 1)] for one in told],
    }


def _distribution(values: Sequence[float]) -> Mapping[str, float]:
    return {**percentiles(values), "min": round(min(values), 1), "max": round(max(values), 1)} if values else {}


def _observe(cameras: int, others_fps: float, options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        camera = stack.enter_context(camera_process(["-m", "bench.shown", f"--fps={options.camera_fps}"]))
        urls = [json.loads(first_line(camera))["url"]]
        shows = ShowListener(camera)
        if cameras > 1:
            urls += stack.enter_context(farm(cameras - 1, OTHERS_FPS))
        rayline = stack.enter_context(started(_config(urls, others_fps, options.runtime)))
        until_published(rayline, cameras)
        time.sleep(WARM_UP_S)
        reader = stack.enter_context(OutsideReader(rayline.redis_url, camera_keys(SHOWN, SHOWN).detections))
        since, until = _wait_for_shows(shows, options)
        shown_at = [at for at in shows.since(since) if at <= until]
        messages = reader.messages()
    told = first_tellings(shown_at, [sighting(at, message) for at, message in messages if at >= since])
    frames_per_s = round(options.camera_fps + (cameras - 1) * others_fps, 2)
    return {"cameras": cameras, "frames_per_s": frames_per_s, **figures(told, len(shown_at), options.camera_fps)}


def _wait_for_shows(shows: ShowListener, options: argparse.Namespace) -> tuple[float, float]:
    """Between which Unix seconds shows count."""
    since = time.time()
    while len(shows.since(since)) < options.shows:
        if time.time() - since > options.timeout_s:
            raise TimeoutError(f"{len(shows.since(since))} of {options.shows} shows within {options.timeout_s:.0f} s")
        time.sleep(0.2)
    until = time.time()
    time.sleep(SETTLE_S)
    return since, until


def _saturated_fps(options: argparse.Namespace) -> float:
    with farm(options.cameras) as urls:
        return measure(_config(urls, None, options.runtime), options.seconds).whole.fps


def _config(urls: Sequence[str], others_fps: float | None, runtime: str) -> RaylineConfig:
    """The first is the showing camera; `others_fps` None: all that the others send."""
    cameras = {f"cam-{n}": {"url": url, "recipe": "all", "fps": others_fps} for n, url in enumerate(urls[1:], 2)}
    return config_of_data(
        {
            "redis": {"url": "embedded"},
            "models": {"bottles": {"weights": _weights(), "image_size": list(IMAGE_SIZE), "runtime": runtime}},
            "recipes": {"all": {"model": "bottles"}},
            "cameras": {SHOWN: {"url": urls[0], "recipe": "all"}, **cameras},
            "observe": {"level": "warning", "metrics_port": None},
        },
        "bench",
    )


def _weights() -> str:
    return str(builtin_weights("bottles"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=4, help="at half load")
    parser.add_argument("--shows", type=int, default=100, help="counted at each load")
    parser.add_argument("--camera-fps", type=float, default=15.0, help="frames the showing camera sends a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="saturation is measured for")
    parser.add_argument("--timeout-s", type=float, default=600.0, help="longest wait for the shows of a load")
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
