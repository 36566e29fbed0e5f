"""Real weights on real pictures: the published scores, in every runtime, at every batch size."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from stages.detect.detector import Detector, ModelSettings, Runtime
from stages.errors import ModelError
from stages.preprocess.letterbox import Preprocessor
from stages.values import Detections
from tests.e2e.models import WEIGHTS, assert_same, asset_frames, detect, needs_weights, sha256

pytestmark = [needs_weights, pytest.mark.timeout(300)]

SQUARE = (640, 640)
RUNTIMES = [Runtime.TORCH, Runtime.ONNX, Runtime.OPENVINO]
BOX_PX, SCORE = 1.0, 0.01  # how far runtimes and batch sizes may differ: source pixels, score
PUBLISHED_SCORE = 0.02
PUBLISHED = {
    "yolov8n": (
        [("person", 0.905), ("person", 0.904), ("person", 0.897), ("bus", 0.875), ("person", 0.429)],
        [("person", 0.841), ("person", 0.830), ("tie", 0.318), ("person", 0.299)],
    ),
    "yolo11n": (
        [("bus", 0.940), ("person", 0.907), ("person", 0.849), ("person", 0.842), ("person", 0.416)],
        [("person", 0.868), ("person", 0.810), ("tie", 0.477)],
    ),
}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def settings(model: str, runtime: Runtime, cache: Path, **changes: object) -> ModelSettings:
    values = {"weights": str(WEIGHTS / f"{model}.pt"), "image_size": SQUARE, "iou": 0.7, "runtime": runtime}
    return ModelSettings.model_validate({**values, "cache_dir": str(cache), **changes})


@pytest.fixture(scope="session")
def detectors(cache: Path) -> dict[tuple[str, Runtime], Detector]:
    return {
        (model, runtime): Detector.load(settings(model, runtime, cache), model)
        for model in PUBLISHED
        for runtime in RUNTIMES
    }


@pytest.fixture(scope="session")
def alone(detectors: dict[tuple[str, Runtime], Detector]) -> dict[tuple[str, str], Detections]:
    """The reference: torch, one picture at a time."""
    return {
        (model, name): detect(detectors[model, Runtime.TORCH], SQUARE, name)[0]
        for model in PUBLISHED
        for name in ("bus.jpg", "zidane.jpg")
    }


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", list(PUBLISHED))
def test_both_families_find_what_is_published(
    detectors: dict[tuple[str, Runtime], Detector], model: str, runtime: Runtime
) -> None:
    detector = detectors[model, runtime]
    names = detector.info.class_names
    for found, published in zip(detect(detector, SQUARE, "bus.jpg", "zidane.jpg"), PUBLISHED[model], strict=True):
        assert sorted(names[class_id] for class_id in found.class_id) == sorted(name for name, _ in published)
        for name in {name for name, _ in published}:
            scores = [
                float(s) for s, class_id in zip(found.score, found.class_id, strict=True) if names[class_id] == name
            ]
            assert scores == pytest.approx([s for other, s in published if other == name], abs=PUBLISHED_SCORE)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", list(PUBLISHED))
def test_answers_are_equal_across_runtimes_and_batch_sizes(
    detectors: dict[tuple[str, Runtime], Detector],
    alone: dict[tuple[str, str], Detections],
    model: str,
    runtime: Runtime,
    count: int,
) -> None:
    names = (["bus.jpg", "zidane.jpg"] * count)[:count]
    for name, found in zip(names, detect(detectors[model, runtime], SQUARE, *names), strict=True):
        assert_same(found, alone[model, name], BOX_PX, SCORE)


def test_a_rectangle_finds_the_same_as_the_square(cache: Path) -> None:
    wide = Detector.load(settings("yolo11n", Runtime.OPENVINO, cache, image_size=(384, 640)), "wide")
    names = [wide.info.class_names[class_id] for class_id in detect(wide, (384, 640), "zidane.jpg")[0].class_id]
    assert names[:2] == ["person", "person"]


def test_a_read_only_tensor_gets_the_same_answer(detectors: dict[tuple[str, Runtime], Detector]) -> None:
    """As it comes out of an object store."""
    prepared = Preprocessor(SQUARE).prepare(asset_frames("bus.jpg", "zidane.jpg", "bus.jpg"))
    for runtime in RUNTIMES:
        detector = detectors["yolo11n", runtime]
        prepared.tensor.setflags(write=True)
        expected = detector.detect(prepared).detections
        prepared.tensor.setflags(write=False)
        for found, wanted in zip(detector.detect(prepared).detections, expected, strict=True):
            assert np.array_equal(found.xyxy, wanted.xyxy)  # type: ignore[union-attr]


def test_any_thread_may_ask(detectors: dict[tuple[str, Runtime], Detector]) -> None:
    counts: list[int] = []
    for runtime in RUNTIMES:
        detector = detectors["yolo11n", runtime]
        asking = threading.Thread(target=lambda d=detector: counts.append(len(detect(d, SQUARE, "bus.jpg")[0])))
        asking.start()
        asking.join(timeout=60)
    assert counts == [5, 5, 5]


def test_only_the_classes_asked_for_come_out(cache: Path) -> None:
    detector = Detector.load(settings("yolo11n", Runtime.OPENVINO, cache, classes=("bus",)), "buses")
    found = detect(detector, SQUARE, "bus.jpg")[0]
    assert [detector.info.class_names[class_id] for class_id in found.class_id] == ["bus"]


def test_the_right_digest_is_taken_and_told(cache: Path) -> None:
    digest = sha256(WEIGHTS / "yolo11n.pt")
    detector = Detector.load(settings("yolo11n", Runtime.OPENVINO, cache, sha256=digest, version="3"), "eleven")
    assert (detector.info.name, detector.info.version, detector.info.sha256) == ("eleven", "3", digest)
    assert detector.info.runtime.startswith("openvino cpu f32")


@pytest.mark.parametrize("runtime", [Runtime.AUTO, *RUNTIMES])
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("yolov5n_v5repo.pt", "YOLOv5 repository, which ultralytics cannot load; use the yolov5u weights"),
        ("yolo11n_truncated16k.pt", r"truncated or damaged.*16384 bytes.*copy or download it again"),
        ("yolov9t_lfs_pointer.pt", r"a Git LFS pointer.*run `git lfs pull`"),
        ("absent.pt", "no such weights file"),
    ],
)
def test_files_that_are_no_weights_are_refused_in_clear_words(
    cache: Path, runtime: Runtime, file: str, words: str
) -> None:
    wanted = settings("yolo11n", runtime, cache, weights=str(WEIGHTS / "negative" / file))
    with pytest.raises(ModelError, match=f"{file}: .*{words}"):
        Detector.load(wanted, "bad")


def test_a_wrong_digest_is_refused(cache: Path) -> None:
    with pytest.raises(ModelError, match=r"yolo11n.pt: its sha256 is b5de1e0d\w+, the settings want c{64}"):
        Detector.load(settings("yolo11n", Runtime.AUTO, cache, sha256="c" * 64), "bad")


def test_a_class_no_one_taught_it_is_refused(cache: Path) -> None:
    with pytest.raises(ModelError, match=r"yolo11n.pt: the model knows no class 'botle' \(did you mean 'bottle'\?\)"):
        Detector.load(settings("yolo11n", Runtime.OPENVINO, cache, classes=("person", "botle")), "bad")
