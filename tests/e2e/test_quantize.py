"""`rayline quantize` on the shipped model and rendered pictures: the file runs, tells what it is, and finds as much."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.config_paths import builtin_weights
from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from pipeline.quantizing import making
from stages.detect.detector import Detector
from stages.detect.settings import ModelSettings, Runtime

pytestmark = pytest.mark.timeout(300)

SIZE_HW = (256, 416)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    renderer = Renderer(BottleLine(4))
    for number in range(18):
        rgb = renderer.render(10 + number * 1.7)
        assert cv2.imwrite(str(folder / f"{number}.png"), rgb[..., ::-1])
    return folder


@pytest.mark.filterwarnings("ignore")  # ultralytics and torch warn while they trace; not ours
def test_an_8_bit_model_finds_what_the_32_bit_one_does(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(making, "_ROUND_S", 0.05)  # its speed is not looked at here
    target = tmp_path / "bottles8.onnx"
    command = ["quantize", "builtin:bottles", str(pictures), "-o", str(target), "--image-size", "416x256", "--json"]
    result = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    told = json.loads(result.stdout)
    assert (told["calibrated"], told["agreement"]["pictures"]) == (12, 6)
    assert told["agreement"]["boxes"] > 40
    assert told["agreement"]["found_share"] > 0.9
    assert told["agreement"]["extra_share"] < 0.1
    assert target.stat().st_size < 1.2 * builtin_weights("bottles").stat().st_size  # that one holds 16 bits
    assert not list(tmp_path.glob(".*")), "something half-made was left"

    assert told["runtime"].startswith("openvino cpu int8, ")
    settings = ModelSettings(weights=str(target), image_size=SIZE_HW, sha256=told["sha256"], runtime=Runtime.ONNX)
    detector = Detector.load(settings, "small")
    assert detector.info.runtime.startswith("onnxruntime cpu int8, ")
    assert "cap" in detector.info.class_names

    again = CliRunner().invoke(cli.app, ["quantize", str(target), str(pictures), "-o", str(tmp_path / "twice.onnx")])
    assert "it computes in 8 bits already" in str(again.exception)
