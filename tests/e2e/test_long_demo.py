"""The demo's acceptance in full length, for several lines: `make drill`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(400)]


@pytest.mark.parametrize("seed", [1, 7, 2026])
def test_ninety_seconds_of_the_demo_line_are_judged_without_a_fault(seed: int, tmp_path: Path) -> None:
    told = tmp_path / "out.json"
    command = [sys.executable, "-m", "pipeline.cli", "demo", "--duration=90", f"--seed={seed}", f"--json={told}"]
    ended = subprocess.run(command, timeout=380, check=False)
    figures: dict[str, Any] = json.loads(told.read_text())
    assert figures["parts_truth"] >= 60
    assert figures["rejects_truth"] >= 12
    assert len(figures["reject_kinds_truth"]) >= 4
    assert figures["touching_pairs_truth"] >= 5
    assert figures["parts_inspected"] == figures["parts_truth"], figures["mistakes"]
    assert (figures["false_pass"], figures["duplicates"]) == (0, 0), figures["mistakes"]
    assert figures["verdicts_correct"] >= 0.99 * figures["parts_truth"], figures["mistakes"]
    assert ended.returncode == 0
