"""Parts of a running line die, and it goes on by itself: the short drill here, the long one in `make drill`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.chaos.drill import DEFAULT_KINDS
from tests.e2e.command import Command

pytestmark = [pytest.mark.ray, pytest.mark.services]

SHORT = "ingest,track,redis-tail"  # a model that hangs takes 12 s alone: in the long one
MOST_MB_PER_MIN = 10.0


@pytest.mark.timeout(180)
def test_a_line_whose_parts_die_one_after_another_goes_on_and_judges_each_part_once(tmp_path: Path) -> None:
    figures = drill(tmp_path, 170, "--minutes=0.7", "--kills=3", "--seconds-between=1", f"--kinds={SHORT}")
    assert figures["kills"] == 3
    assert figures["parts_truth"] >= 10


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_minutes_of_every_kind_of_death_lose_no_part_and_no_memory(tmp_path: Path) -> None:
    figures = drill(tmp_path, 1150, "--minutes=10")
    assert all(len(seconds) >= 2 for seconds in figures["kinds"].values()), figures["kinds"]
    assert set(figures["kinds"]) == set(DEFAULT_KINDS)
    assert figures["rss_slope_mb_per_min"] < MOST_MB_PER_MIN


def drill(folder: Path, timeout_s: float, *options: str) -> dict[str, Any]:
    """Its figures; it was passed."""
    told = folder / "drill.json"
    command = (sys.executable, "-m", "bench.chaos", *options, f"--json={told}")
    drilled = Command(command, folder, {**os.environ, "PYTHONPATH": str(Path.cwd())})
    try:
        code = drilled.finish(timeout_s)
        assert code == 0, drilled.output
    finally:
        drilled.end_all()
    figures: dict[str, Any] = json.loads(told.read_text())
    return figures
