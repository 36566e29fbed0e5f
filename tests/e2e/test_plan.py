"""`rayline plan --measure` times this machine with a model of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli
from tests.e2e.models import seeded_weights

pytestmark = pytest.mark.timeout(300)


@pytest.mark.filterwarnings("ignore")  # ultralytics and torch warn while they trace; not ours
def test_this_machines_costs_stand_in_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    weights = str(seeded_weights(tmp_path))
    options = ["--cameras", "4", "--resolution", "640x360", "--image-size", "320x192", "--model", weights]
    options += ["--runtime", "torch"]  # needs no export
    result = CliRunner().invoke(cli.app, ["plan", *options, "--measure", "--json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    costs = {share["name"]: share["cost"] for share in told["shares"]}
    for name in ("decode", "letterbox, statistics", "model"):
        assert costs[name]["known"] == "measured"
        assert "this machine" in costs[name]["source"]
        assert costs[name]["value"] > 0
    assert told["runtime"] == "torch"
    assert "in torch cpu" in costs["model"]["source"]
