"""Two machines share the work, pixels stay where they are read, and a machine may die and another join."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Command

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(330)]


def test_shards_and_frames_stay_near_and_follow_the_nodes_there_are(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    command = (sys.executable, "-m", "tests.e2e.two_nodes", str(tmp_path), str(told))
    ran = Command(command, tmp_path, {**os.environ, "PYTHONPATH": str(Path.cwd())})
    try:
        assert ran.finish(300) == 0, ran.output
    finally:
        ran.end_all()
    seen = json.loads(told.read_text())
    print(seen)  # noqa: T201 - for who runs the drill
    assert seen["near_share"] > 0.95
    assert len(seen["moved"]) == 2
    assert seen["restarted"] == []
    assert seen["stayed"]
    assert seen["films_whole"]
