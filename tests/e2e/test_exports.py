"""Exports are made once, found again, and refused when they are not what was stored; no shared data is needed."""

from __future__ import annotations

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stages.detect.backend import load_backend
from stages.detect.detector import Detector, ModelSettings, Runtime
from stages.detect.export import MANIFEST, ExportFailed
from stages.errors import ModelError
from tests.e2e.models import detect, seeded_weights

pytestmark = pytest.mark.timeout(300)

SIZE_HW = (192, 320)
exporting_here = pytest.mark.filterwarnings("ignore")  # ultralytics and torch warn while they trace; not ours


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeded_weights(tmp_path_factory.mktemp("seeded"))


@pytest.fixture(scope="session")
def yolo26(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeded_weights(tmp_path_factory.mktemp("seeded-26"), "yolo26n.yaml")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


def settings(weights: Path, cache: Path, **changes: object) -> ModelSettings:
    values = {"weights": str(weights), "image_size": SIZE_HW, "cache_dir": str(cache), "min_score": 0.001}
    return ModelSettings.model_validate({**values, **changes})


def exports(cache: Path) -> list[Path]:
    return sorted(cache.glob(f"*/{MANIFEST}"))


def test_two_that_want_it_at_once_make_one_export(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="stages.detect.export")
    runtimes: list[str] = []
    wanted = settings(weights, tmp_path)
    asking = [threading.Thread(target=lambda: runtimes.append(load_backend(wanted).runtime)) for _ in range(2)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(timeout=120)
    assert len(runtimes) == 2
    assert len(exports(tmp_path)) == 1
    assert [record.getMessage() for record in caplog.records if record.getMessage().startswith("exporting")] != []
    assert sum(record.getMessage().startswith("exporting") for record in caplog.records) == 1
    assert not list(tmp_path.glob(".*")), "half-made exports were left"


def test_the_second_time_the_cache_is_used_by_both_runtimes(weights: Path, cache: Path) -> None:
    load_backend(settings(weights, cache, runtime=Runtime.OPENVINO))
    (manifest,) = exports(cache)
    made = (manifest.parent / "model.onnx").stat().st_mtime_ns
    load_backend(settings(weights, cache, runtime=Runtime.OPENVINO))
    load_backend(settings(weights, cache, runtime=Runtime.ONNX))
    assert exports(cache) == [manifest]
    assert (manifest.parent / "model.onnx").stat().st_mtime_ns == made


def test_an_export_that_was_changed_is_made_again(weights: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_backend(settings(weights, cache))
    (manifest,) = exports(cache)
    model = manifest.parent / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1000])
    load_backend(settings(weights, cache))
    assert "is not what was stored there; exporting again" in caplog.text
    assert json.loads(manifest.read_text())["file"] == "model.onnx"


def test_random_weights_answer_alike_in_every_runtime(weights: Path, cache: Path) -> None:
    answers = []
    for runtime in (Runtime.TORCH, Runtime.ONNX, Runtime.OPENVINO):
        backend = load_backend(settings(weights, cache, runtime=runtime))
        tensor = np.random.default_rng(0).integers(0, 255, (3, 3, *SIZE_HW), np.uint8)
        answers.append(backend.infer(tensor).copy())
        assert backend.names == ("bottle", "cap", "label")
    for answer in answers[1:]:
        assert answer == pytest.approx(answers[0], abs=1e-2)


@pytest.mark.parametrize("runtime", [Runtime.TORCH, Runtime.ONNX, Runtime.OPENVINO])
def test_two_calls_at_once_answer_as_one_after_another(weights: Path, cache: Path, runtime: Runtime) -> None:
    """Batches of every size, whole and odd, from two threads: no answer is another's, none overwrites another's."""
    backend = load_backend(settings(weights, cache, runtime=runtime))
    rng = np.random.default_rng(1)
    batches = [rng.integers(0, 255, (count, 3, *SIZE_HW), np.uint8) for count in (1, 4, 3, 8, 1, 2, 5, 1) * 2]
    expected = [backend.infer(batch).copy() for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda batch: backend.infer(batch).copy(), batches))
    for answer, right in zip(answers, expected, strict=True):
        assert answer == pytest.approx(right, abs=1e-3)


@pytest.mark.parametrize("runtime", [Runtime.TORCH, Runtime.ONNX, Runtime.OPENVINO])
def test_yolo26_runs_by_its_head_with_suppression(yolo26: Path, cache: Path, runtime: Runtime) -> None:
    detector = Detector.load(settings(yolo26, cache, runtime=runtime), "new")
    assert len(detect(detector, SIZE_HW, "bus.jpg")) == 1


@exporting_here
def test_an_end_to_end_export_is_understood(yolo26: Path, tmp_path: Path) -> None:
    """One's own export of YOLO26 with nms=False answers (n, 300, 6); the same things must come out of both runtimes."""
    from ultralytics.models import YOLO

    path = Path(shutil.copy(yolo26, tmp_path / "mine.pt"))
    exported = Path(YOLO(path).export(format="onnx", imgsz=SIZE_HW, dynamic=True, nms=False, device="cpu"))
    found = []
    for runtime in (Runtime.ONNX, Runtime.OPENVINO):
        backend = load_backend(settings(exported, tmp_path, runtime=runtime))
        assert backend.infer(np.zeros((2, 3, *SIZE_HW), np.uint8)).shape == (2, 300, 6)
        found.append(detect(Detector(backend, settings(exported, tmp_path), "own"), SIZE_HW, "bus.jpg", "zidane.jpg"))
    for one, other in zip(*found, strict=True):
        assert len(one) == len(other) > 0
        assert one.score == pytest.approx(other.score, abs=0.001)  # random weights: near-equal scores swap places


@exporting_here
def test_ones_own_openvino_folder_runs_as_it_is(weights: Path, tmp_path: Path) -> None:
    from ultralytics.models import YOLO

    copied = Path(shutil.copy(weights, tmp_path / "mine.pt"))
    folder = Path(YOLO(copied).export(format="openvino", imgsz=SIZE_HW, dynamic=True))
    backend = load_backend(settings(folder, tmp_path))
    assert backend.names == ("bottle", "cap", "label")
    tensor = np.random.default_rng(0).integers(0, 255, (3, 3, *SIZE_HW), np.uint8)
    reference = load_backend(settings(weights, tmp_path, runtime=Runtime.TORCH)).infer(tensor)
    assert backend.infer(tensor) == pytest.approx(reference, abs=1.0)  # half-precision weights, boxes in pixels


@pytest.mark.parametrize("runtime", [Runtime.ONNX, Runtime.OPENVINO])
def test_a_damaged_onnx_file_is_refused(tmp_path: Path, runtime: Runtime) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(os.urandom(5000))
    with pytest.raises(ModelError, match=r"half.onnx: .*(damaged|no class names)"):
        load_backend(settings(path, tmp_path, runtime=runtime))


def test_a_checkpoint_with_strange_classes_is_not_run_unless_it_is_pinned(tmp_path: Path) -> None:
    """Its pickle would create a file when loaded."""
    import torch

    class Stranger:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "was-run"),))

    path = tmp_path / "strange.pt"
    torch.save({"model": Stranger()}, path)
    for runtime in (Runtime.TORCH, Runtime.OPENVINO, Runtime.AUTO):
        with pytest.raises(ModelError, match=r"strange.pt: .*pin it by models.<name>.sha256"):
            load_backend(settings(path, tmp_path, runtime=runtime))
    assert not (tmp_path / "was-run").exists()


def test_a_model_for_another_task_is_refused(tmp_path: Path) -> None:
    from ultralytics.models import YOLO

    path = tmp_path / "classify.pt"
    YOLO("yolo11n-cls.yaml").save(path)
    for runtime in (Runtime.TORCH, Runtime.OPENVINO):
        with pytest.raises(ModelError, match=r"classify.pt: .*(a classify model|a model for classify).*detection"):
            load_backend(settings(path, tmp_path, runtime=runtime))


def test_waiting_for_anothers_export_has_an_end(weights: Path, tmp_path: Path) -> None:
    import filelock

    wanted = settings(weights, tmp_path, runtime=Runtime.OPENVINO, export_timeout_s=0.3)
    with pytest.raises(ExportFailed, match="took over"):  # its own: far too short for an export
        load_backend(wanted)
    (lock,) = tmp_path.glob("*.lock")
    with (
        filelock.FileLock(lock),
        pytest.raises(ExportFailed, match="another process has been exporting it for over 0 s"),
    ):
        load_backend(wanted)
