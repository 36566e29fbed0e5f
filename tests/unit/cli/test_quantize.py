"""`rayline quantize`, as a person types it; making a model is tried in tests/e2e."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline import cli
from pipeline.quantizing import making
from pipeline.quantizing.making import Job, Made, Times
from stages.detect.agreement import Agreement
from stages.errors import ModelError

GOOD = Agreement(pictures=100, boxes=400, found=392, extra=6, iou=0.96, score_change=-0.004)


def made(told: Agreement = GOOD, after_ms: float = 10.0, calibrated: int = 200) -> Made:
    times = {1: Times(20.0, after_ms), 8: Times(18.0, after_ms)}
    return Made("ab" * 32, 2_900_000, calibrated, told, times, "openvino cpu int8, 2 threads, 2 streams")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    asked: list[Job] = []

    def make(job: Job) -> Made:
        asked.append(job)
        return made()

    monkeypatch.setattr(making, "make", make)
    return asked


def rayline(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["quantize", *arguments])


def test_it_tells_what_8_bits_find_and_how_fast(jobs: list[Job], tmp_path: Path) -> None:
    target = tmp_path / "parts8.onnx"
    told = " ".join(rayline("parts.pt", "clips", "-o", str(target), "--image-size", "416x256").stdout.split())
    for words in (
        "98.0% of 400 boxes found, 1.5% more",
        "200 pictures, held against 32 bit on 100 others",
        "1 at once: 20.0 ms an image in 32 bit, 10.0 in 8 (2.00 times as fast)",
        f"image_size: [256, 416], sha256: {'ab' * 32}",
    ):
        assert words in told
    (job,) = jobs
    assert (job.settings.image_size, job.settings.runtime, job.addresses) == ((256, 416), "openvino", ("clips",))


def test_for_programs_it_is_one_object(jobs: list[Job], tmp_path: Path) -> None:
    result = rayline("builtin:bottles", "a", "b", "-o", str(tmp_path / "x.onnx"), "--json")
    told = json.loads(result.stdout)
    assert (told["agreement"]["found_share"], told["ms"]["8"]) == (0.98, {"before": 18.0, "after": 10.0})
    assert Path(jobs[0].settings.weights).name == "bottles.pt"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(made(calibrated=20), "20 pictures are few", id="few pictures"),
        pytest.param(made(Agreement(100, 400, 360, 6, 0.9, -0.1)), "finds 90.0% of what 32 bit does", id="finds less"),
        pytest.param(made(Agreement(100, 0, 0, 0, 0.0, 0.0)), "found nothing in the pictures", id="nothing to find"),
        pytest.param(made(after_ms=17.0), "hardly faster here: 8 bits need VNNI or AMX", id="not faster"),
    ],
)
def test_what_is_to_be_minded_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Made, told: str) -> None:
    monkeypatch.setattr(making, "make", lambda job: answer)
    assert told in " ".join(rayline("parts.pt", "clips", "-o", str(tmp_path / "x.onnx")).output.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(("parts.pt", "-o", "x.onnx"), "PICTURES", id="no pictures"),
        pytest.param(("parts.pt", "clips"), "--output", id="nowhere to write"),
        pytest.param(("parts.pt", "clips", "-o", "x.xml"), "an .onnx file", id="another format"),
        pytest.param(("./x.onnx", "clips", "-o", "x.onnx"), "the model itself", id="onto the model"),
        pytest.param(("parts.pt", "clips", "-o", "/absent/x.onnx"), "folder that is there", id="no such folder"),
        pytest.param(
            ("parts.pt", "clips", "-o", "x.onnx", "--image-size", "640x400"), "image_size", id="no multiple of 32"
        ),
        pytest.param(("parts.pt", "clips", "-o", "x.onnx", "--sha256", "12"), "sha256", id="no digest"),
    ],
)
def test_a_wrong_option_ends_with_2_and_says_what_would_do(arguments: tuple[str, ...], told: str) -> None:
    result = rayline(*arguments)
    assert result.exit_code == 2
    assert told in result.output


def test_weights_that_are_not_there_are_an_error_of_ours(tmp_path: Path) -> None:
    result = rayline(str(tmp_path / "absent.pt"), "clips", "-o", str(tmp_path / "x.onnx"))
    assert isinstance(result.exception, ModelError)
    assert not list(tmp_path.iterdir())
