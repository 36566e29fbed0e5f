"""`rayline demo` in short, by a process of its own: the whole line from rendered camera to the tally of verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import Rayline

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(240)]

KEYS = {
    "parts_truth",
    "parts_inspected",
    "verdicts_correct",
    "rejects_truth",
    "rejects_found",
    "indeterminate",
    "false_pass",
    "duplicates",
    "frames_published",
    "frames_dropped",
    "latency_ms",
    "cameras",
}
SHORT_RUN_CORRECT = 0.97  # of some 40 parts one may be wrong; the long run asks for 99 %


def test_every_part_of_a_short_demo_gets_its_one_verdict(rayline: Rayline, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    demo = rayline.run("demo", "--duration", "25", "--seed", "5", "--json", out, timeout_s=180)
    assert demo.process.returncode in (0, 1), demo.output  # 1: fewer parts or rejects than the long run must show
    assert "Traceback" not in demo.output
    figures = json.loads(out.read_text())
    assert figures.keys() >= KEYS
    assert figures["latency_ms"].keys() == {"p50", "p95"}
    assert all(camera.keys() >= KEYS - {"cameras"} for camera in figures["cameras"])
    told = json.dumps({name: value for name, value in figures.items() if name != "cameras"}, indent=1)
    truth = figures["parts_truth"]
    assert truth >= 20, told
    assert figures["parts_inspected"] == truth, told
    assert (figures["false_pass"], figures["duplicates"]) == (0, 0), told
    assert figures["verdicts_correct"] >= SHORT_RUN_CORRECT * truth, told
    assert figures["frames_published"] > 2 * 12 * 20, told
    assert "bottles@" not in demo.output  # its cameras' password
