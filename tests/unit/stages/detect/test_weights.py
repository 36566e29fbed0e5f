"""Files that are no weights are refused before any library opens them, in words that tell what to do."""

import hashlib
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import fsspec
import pytest

from stages.detect.settings import ModelSettings
from stages.detect.weights import WeightsFormat, find_weights
from stages.errors import ModelError


def checkpoint(path: Path, pickled: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickled or pickle.dumps(OrderedDict(model=1), protocol=2))
    return path


def find(weights: Path | str, cache: Path, sha256: str | None = None):  # type: ignore[no-untyped-def]
    return find_weights(ModelSettings(weights=str(weights), sha256=sha256), cache)


def test_good_weights_are_found_with_their_digest(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "good.pt")
    found = find(path, tmp_path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.format is WeightsFormat.PT
    assert not found.trusted


def test_weights_named_by_their_digest_are_trusted(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "good.pt")
    assert find(path, tmp_path, hashlib.sha256(path.read_bytes()).hexdigest()).trusted


def test_another_digest_is_refused_with_both(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "good.pt")
    with pytest.raises(ModelError, match=r"good.pt: its sha256 is [0-9a-f]{64}, the settings want a{64}"):
        find(path, tmp_path, "a" * 64)


def test_the_digest_is_compared_before_the_file_is_read_into(tmp_path: Path) -> None:
    path = tmp_path / "not-a-zip.pt"
    path.write_bytes(b"\x80\x02cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="its sha256 is"):
        find(path, tmp_path, "a" * 64)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("empty.pt", b"", "is empty; copy or download it again", id="empty"),
        pytest.param(
            "lfs.pt", b"version https://git-lfs.github.com/spec/v1\noid", "run `git lfs pull`", id="lfs pointer"
        ),
        pytest.param("page.pt", b"<html>404</html>", "truncated or damaged.*16 bytes", id="a web page"),
        pytest.param("half.pt", b"PK\x03\x04" + bytes(5000), "truncated or damaged", id="half a zip"),
        pytest.param(
            "lfs.onnx", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull", id="onnx lfs pointer"
        ),
        pytest.param("model.safetensors", b"xyz", "use .pt, .onnx, .engine", id="another kind"),
    ],
)
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}: .*{words}"):
        find(tmp_path / name, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere.pt: no such weights file; check models.<name>.weights"):
        find(tmp_path / "nowhere.pt", tmp_path)


def test_a_yolov5_repository_checkpoint_is_recognised_without_loading_it(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "v5.pt", b"\x80\x02cmodels.yolo\nDetectionModel\n.")
    with pytest.raises(ModelError, match=r"YOLOv5 repository.*yolov5u weights"):
        find(path, tmp_path)


def test_a_zip_without_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photos.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"x")
    with pytest.raises(ModelError, match="no torch checkpoint"):
        find(path, tmp_path)


def test_an_openvino_folder_needs_both_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "m_openvino_model"
    folder.mkdir()
    with pytest.raises(ModelError, match="not an OpenVINO model"):
        find(folder, tmp_path)
    (folder / "m.xml").write_text("<net/>")
    with pytest.raises(ModelError, match=r"\.bin file is missing"):
        find(folder, tmp_path)
    (folder / "m.bin").write_bytes(b"\x00")
    assert find(folder, tmp_path).format is WeightsFormat.OPENVINO


def test_remote_weights_need_a_digest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"s3://bucket/m.pt: remote weights need .*sha256") as caught:
        find("s3://key:secret@bucket/m.pt?token=abc", tmp_path)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_remote_weights_are_fetched_once(tmp_path: Path) -> None:
    content = checkpoint(tmp_path / "there.pt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    memory = fsspec.filesystem("memory")
    memory.pipe("/weights-test/m.pt", content)
    try:
        first = find("memory://weights-test/m.pt", tmp_path / "cache", digest)
    finally:
        memory.rm("/weights-test", recursive=True)
    assert first.path.read_bytes() == content
    assert find("memory://weights-test/m.pt", tmp_path / "cache", digest) == first


def test_remote_weights_that_are_not_there_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"memory://weights-test/gone.pt: cannot be fetched"):
        find("memory://weights-test/gone.pt", tmp_path, "b" * 64)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
