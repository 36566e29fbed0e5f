"""The page: figures that were measured, a word where none were, and nothing outside the marks touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.page import BEGIN, END, refreshed, section
from bench.plots import draw
from bench.report import files_of, gathered
from bench.scale import growth
from bench.soak import FLAT

MACHINE = {"cpu": "Some CPU", "cores": 2, "memory_gb": 8.0, "python": "3.11.2", "load_1min": 0.1}
LATENCY = {"p50": 40.0, "p95": 60.0, "p99": 80.0}
SPREAD = {"median": 30.0, "low": 28.0, "high": 33.0}


def step(cameras: int) -> dict[str, Any]:
    held = {"processes": 1, "rss_mb": 200.0, "anon_mb": 90.0, "pss_mb": 100.0, "fds": 50, "threads": 20}
    return {
        "cameras": cameras,
        "fps": 2.0 * cameras,
        "rayline_cpu_ms_per_frame": {**SPREAD, "median": 30.0 + 40 / cameras},
        "cpu_ms_per_frame": {"ingest": 20.0, "gcs": 0.1, "bench": 3.0},
        "cores_used": 0.5,
        "rss_mb": 1000.0 + 30 * cameras,
        "pss_mb": 600.0 + 15 * cameras,
        "anon_mb": 500.0 + 10 * cameras,
        "latency_ms": LATENCY,
        "held": {"ingest": held, "gcs": {**held, "pss_mb": 1.0}},
    }


def soaked() -> dict[str, Any]:
    found = {"slope": 0.001, "low": -0.01, "high": 0.01, "is_flat": True}
    held = {"processes": 1, "rss_mb": 200.0, "anon_mb": 90.0, "pss_mb": 100.0, "fds": 50, "threads": 20}
    slopes = {"all": dict.fromkeys(FLAT, found), "ingest": {**dict.fromkeys(FLAT, found), "threads": None}}
    return {
        "minutes": 30.0,
        "warm_up_s": 450,
        "is_flat": {"rss_mb": False, "anon_mb": True, "fds": True},
        "per_min": slopes,
        "flat_below_per_min": FLAT,
        "samples": [{"at_s": 10.0 * n, "all": held, "ingest": held} for n in range(4)],
        "cameras": 4,
        "frames_per_camera_per_s": 6.0,
    }


def measured() -> dict[str, dict[str, Any]]:
    load = {
        "frames_per_s": 20.0,
        "shows": 100,
        "missed": 0,
        "outside_ms": LATENCY,
        "own_ms": LATENCY,
        "outside_minus_own_ms": SPREAD,
        "clock_error_ms": None,
        "samples_ms": [[41.0, 40.0], [52.0, 50.0]],
    }
    steps = [step(1), step(4), step(64)]
    found: dict[str, dict[str, Any]] = {
        "pipeline": {
            "bare_fps": 24.0,
            "fps": 22.0,
            "ratio": 0.917,
            "latency_ms": {"saturated": LATENCY, "half_load": LATENCY},
            "half_load_fps": 11.0,
            "rss_mb": {"total": 1200},
            "cameras": 4,
            "weights": "shared yolo11n",
        },
        "scale": {
            "steps": steps,
            **growth(steps),
            "frames_per_camera_per_s": 2.0,
            "camera_fps": 5.0,
            "shard_size": 4,
            "model_ms": 1.9,
            "model": "tiny",
        },
        "latency": {
            "loads": {"idle": {**load, "cameras": 1}, "half_load": {**load, "cameras": 4}},
            "bare_model_ms": {**SPREAD, "median": 15.0},
            "camera_fps": 15.0,
            "model": "bottles",
        },
        "soak": soaked(),
    }
    return {name: {**each, "machine": MACHINE} for name, each in found.items()}


def test_growth_is_told_from_four_cameras_to_the_most() -> None:
    grown = growth([step(1), step(4), step(64)])
    assert (grown["from_cameras"], grown["to_cameras"]) == (4, 64)
    assert grown["cpu_ratio"] == pytest.approx(30.625 / 40, abs=1e-3)
    assert (grown["rss_mb_per_added_camera"], grown["pss_mb_per_added_camera"]) == (30, 15)
    assert (grown["fixed_cpu_ms_per_s"], grown["cpu_ms_per_added_frame"]) == pytest.approx((80, 30))
    assert growth([step(1), step(4)]) == {}


def test_what_was_not_measured_is_said() -> None:
    page = section({"scale": measured()["scale"]}, {})
    assert page.count("Not measured yet") == 3
    assert "Some CPU, 2 cores, 8.0 GB, Python 3.11.2, load 0.1 at the start" in page
    assert "**30.0 MB RSS**" in page


def test_every_figure_stands_on_the_page_beside_its_plot(tmp_path: Path) -> None:
    images = draw(measured(), tmp_path / "images")
    page = section(measured(), images)
    assert "Not measured" not in page
    assert "RSS: **not flat**; own data" in page
    for path in images.values():
        assert f"]({path})" in page
        assert (tmp_path / path).read_text().lstrip().startswith("<?xml")
    assert set(images) == set(measured())


def test_a_model_in_8_bits_stands_beside_the_other() -> None:
    found = measured()
    spread = {"low": 40.0, "median": 41.0, "high": 42.0}
    found["pipeline"]["int8"] = {
        "bare_fps": 41.0,
        "bare_fps_spread": spread,
        "fps": 33.0,
        "fps_spread": spread,
        "bare_times_as_fast": 1.708,
        "times_as_fast": 1.5,
    }
    page = section(found, {})
    assert "| in 8 bits, bare model | 41.0 images/s (40 to 42), 1.708 times as fast |" in page
    assert "| in 8 bits, pipeline, saturated | 33.0 frames/s (40 to 42), 1.5 times as fast |" in page


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = f"# Speed\n\n{BEGIN}\nold\n{END}\n\nPeers.\n"
    assert refreshed(page, "new\n") == f"# Speed\n\n{BEGIN}\n\nnew\n\n{END}\n\nPeers.\n"
    assert refreshed(refreshed(page, "new"), "new") == refreshed(page, "new")
    with pytest.raises(ValueError, match="figures: begin"):
        refreshed("# Speed\n", "new")


def test_files_are_gathered_by_what_they_measured(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"bench": "scale", "n": 1}))
    (tmp_path / "b.json").write_text(json.dumps({"bench": "scale", "n": 2}))
    (tmp_path / "peers.json").write_text(json.dumps({"n": 3}))
    assert gathered(files_of([tmp_path])) == {"scale": {"bench": "scale", "n": 2}, "peers": {"n": 3}}
    with pytest.raises(FileNotFoundError, match="run a benchmark"):
        files_of([tmp_path / "none"])
