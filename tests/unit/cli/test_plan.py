"""`rayline plan`, as a person types it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from pipeline import cli
from stages.errors import RaylineError


def rayline(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["plan", *arguments])


def test_it_tells_machines_and_what_it_assumed() -> None:
    told = " ".join(rayline("--cameras", "500", "--fps", "10", "--model", "yolo11s", "--gpu", "T4").stdout.split())
    for words in ("11 x t4", "nodes", "Redis", "Gbit/s of pictures", "63 readers", "docs.ultralytics.com"):
        assert words in told
    assert "30% of every core and GPU stays free" in told


def test_for_programs_it_is_one_object() -> None:
    result = rayline("--cameras", "20", "--json")
    told = json.loads(result.stdout)
    assert (told["demand"]["cameras"]["count"], told["runtime"]) == (20, "openvino")
    assert sum(share["cores"] for share in told["shares"]) < told["cores"]
    assert told["shares"][0]["cost"]["known"] == "measured"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--resolution", "hd", "1920x1080"), ("--runtime", "caffe", "openvino"), ("--codec", "av1", "h264")],
)
def test_a_wrong_option_ends_with_2_and_says_what_would_do(option: str, value: str, told: str) -> None:
    result = rayline("--cameras", "4", option, value)
    assert result.exit_code == 2
    assert told in result.output


def test_what_cannot_be_planned_is_an_error_of_ours() -> None:
    assert isinstance(rayline("--cameras", "0").exception, RaylineError)
