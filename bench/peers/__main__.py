"""Rayline beside other tools, in one run: `python -m bench.peers [--rounds 3] [--json FILE]`; `make bench-peers`.

Everyone gets the same RTSP cameras (640x360 at 30 frames/s, 4 of them), the same ONNX weights at 640x384, the same
cores and as many threads, and runs alone, each in a process of its own with a fresh camera farm; the order turns round
from one round to the next. The bare model is measured first, between the rounds and last. To add a tool: an adapter
file beside these that answers as adapter.py says, and a line in CANDIDATES.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from bench.bare import bare_fps
from bench.cameras import farm
from bench.machine import machine, weights, weights_name
from bench.peers.adapter import IMAGE_SIZE, WARM_UP_S
from bench.peers.comparison import RAYLINE, RAYLINE_INT8, ROBOFLOW, ULTRALYTICS, compared, fps, table
from bench.results import tell
from stages.detect.export import ExportPlan, export_once
from stages.detect.machine import usable_cpus
from stages.detect.settings import ModelSettings
from stages.detect.weights import WeightsFormat, find_weights

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"  # made by `make bench-peers`
START_TIMEOUT_S = 180.0
CACHE = Path.home() / ".cache" / "rayline" / "models"
ENVIRONMENT = {  # no calls home; no models loaded that are not measured
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "OFFLINE_MODE": "True",
    "TELEMETRY_OPT_OUT": "True",
    "CORE_MODELS_ENABLED": "False",
}


@dataclass(frozen=True)
class Candidate:
    """Who is measured, and how it is started."""

    name: str
    adapter: str
    arguments: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    weights: Path | None = None  # its own; None: those all have
    is_given_pt: bool = False  # gets the .pt that the others' ONNX file was made of; left out where there is none


CANDIDATES = (
    Candidate(RAYLINE, "rayline"),
    Candidate("rayline on ONNX Runtime", "rayline", ("--runtime", "onnx")),
    Candidate("loop in one process", "loop"),
    Candidate(ROBOFLOW, "roboflow", ("--mode", "auto"), PEERS_PYTHON),
    Candidate(f"{ROBOFLOW}, its default mode", "roboflow", ("--mode", "legacy"), PEERS_PYTHON),
    Candidate(ULTRALYTICS, "ultralytics_track"),
    Candidate(f"{ULTRALYTICS}, its default .pt", "ultralytics_track", is_given_pt=True),
)


def main() -> None:
    """Measure and tell."""
    options = _options()
    here, path = machine(), options.weights or weights()
    model = _as_onnx(path)
    int8 = () if options.int8 is None else (Candidate(RAYLINE_INT8, "rayline", weights=options.int8.absolute()),)
    chosen = [one for one in (*given(path), *int8) if not options.only or one.name in options.only]
    runs: dict[str, list[dict[str, Any]]] = {one.name: [] for one in chosen}
    bare = [_bare(model)]
    for number in range(options.rounds):
        for one in chosen if number % 2 == 0 else reversed(chosen):
            runs[one.name].append(_measured(one, model, options))
        bare.append(_bare(model))
    report = {
        "bench": "peers",
        **compared(runs, [max(one.values()) for one in bare]),
        "bare": bare,
        "runs": runs,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "cameras": options.cameras,
        "weights": weights_name(path) if options.weights is None else Path(path).name,
        "machine": here,
    }
    tell(report, options.json)
    _say("\n".join(table(report)))


def given(path: str) -> list[Candidate]:
    """The candidates that these weights are for."""
    is_pt = Path(path).suffix == ".pt"
    return [
        replace(one, weights=Path(path)) if one.is_given_pt else one
        for one in CANDIDATES
        if is_pt or not one.is_given_pt
    ]


def _measured(one: Candidate, model: Path, options: argparse.Namespace) -> dict[str, Any]:
    load = round(psutil.getloadavg()[0], 2)
    with farm(options.cameras) as urls:
        found = ask(one, model, urls, options.seconds)
    _say(f"{one.name}: {found.get('error') or f'{fps(found):.2f} frames/s'}")
    return {**found, "load_1min_before": load}


def ask(one: Candidate, model: Path, urls: Sequence[str], seconds: float) -> dict[str, Any]:
    """What its adapter said; `error` where it said nothing."""
    if not one.python.exists():
        return {"error": f"not installed: `make bench-peers` makes {one.python.parts[-3]}"}
    command = [str(one.python), "-m", f"bench.peers.{one.adapter}", *one.arguments, *urls]
    command += ["--weights", str(one.weights or model), "--seconds", str(seconds), "--threads", str(usable_cpus())]
    with tempfile.TemporaryFile("w+") as noise:
        process = subprocess.Popen(  # noqa: S603 - ours
            command, stdout=subprocess.PIPE, stderr=noise, text=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT}
        )
        try:
            said, _ = process.communicate(timeout=START_TIMEOUT_S + WARM_UP_S + seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return {"error": "it took too long"}
        if process.returncode == 0:
            return answer_in(said)
        noise.seek(0)
        reason = (noise.read().strip().splitlines() or ["it said nothing"])[-1]
        return {"error": f"ended with {process.returncode}: {reason[:300]}"}


def answer_in(said: str) -> dict[str, Any]:
    """The adapter's answer, behind whatever the peer wrote; `error` where there is none."""
    last = (said.strip().splitlines() or [""])[-1]
    try:
        found: dict[str, Any] = json.loads(last)
    except json.JSONDecodeError:
        return {"error": f"its last line is no answer: {last[:100]!r}"}
    return found if found["frames"] else {"error": "it gave no frames"}


def _end(process: subprocess.Popen[str]) -> None:
    """The process and all it started."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        member.terminate()
    for member in psutil.wait_procs(family, timeout=10)[1]:
        member.kill()
    process.communicate()


def _bare(model: Path) -> dict[str, float]:
    found = bare_fps(str(model), "openvino,onnx")
    _say(f"bare model: {max(found.values()):.2f} images/s")
    return found


def _as_onnx(path: str) -> Path:
    settings = ModelSettings(weights=path, image_size=IMAGE_SIZE)
    found = find_weights(settings, CACHE)
    if found.format is WeightsFormat.ONNX:
        return found.path
    plan = ExportPlan("onnx", IMAGE_SIZE, settings.max_batch, False, found.trusted, usable_cpus())
    return export_once(found, plan, CACHE, settings.export_timeout_s)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured of each candidate in each round")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--weights", help="a .pt or 640x384 .onnx file instead of COCO yolo11n")
    parser.add_argument(
        "--int8", type=Path, metavar="X.onnx", help="Rayline once more with this 8-bit model, in a row so named"
    )
    parser.add_argument("--only", action="append", help="a candidate's name; may be given again")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
