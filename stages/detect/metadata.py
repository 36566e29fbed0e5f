"""Class names as ultralytics writes them into the formats it exports."""

from __future__ import annotations

import ast
from pathlib import Path

import onnx
import yaml
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # onnx brings it

from stages.errors import ModelError


def onnx_names(path: Path) -> tuple[str, ...]:
    """Class names by class id. Raises ModelError where the file is no ONNX model, has none, or is not for detection."""
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as exc:
        raise ModelError(f"{path}: truncated or damaged, or no ONNX model at all; copy or export it again") from exc
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    _require_detection(path, metadata.get("task", "detect"))
    if "names" not in metadata:
        raise ModelError(f"{path}: tells no class names; export it with ultralytics, which writes them into the file")
    return ordered(path, ast.literal_eval(metadata["names"]))


def openvino_names(path: Path) -> tuple[str, ...]:
    """Class names by class id, of an .onnx file or of an OpenVINO folder by its metadata.yaml. Raises ModelError."""
    if path.is_file():
        return onnx_names(path)
    try:
        metadata = yaml.safe_load((path / "metadata.yaml").read_text())
        task, names = metadata.get("task", "detect"), metadata["names"]
    except (OSError, yaml.YAMLError, KeyError, AttributeError) as exc:
        raise ModelError(f"{path}: no class names in metadata.yaml; copy the whole exported folder") from exc
    _require_detection(path, task)
    return ordered(path, names)


def ordered(path: Path, names: object) -> tuple[str, ...]:
    """Names given as a list or as {class id: name}, in the order of their ids. Raises ModelError for gaps."""
    if isinstance(names, dict):
        by_id = {int(class_id): str(name) for class_id, name in names.items()}
        if by_id and sorted(by_id) == list(range(len(by_id))):
            return tuple(by_id[class_id] for class_id in range(len(by_id)))
    elif isinstance(names, list | tuple) and names:
        return tuple(map(str, names))
    raise ModelError(f"{path}: its class names are not numbered 0, 1, 2 ...: {names!r:.200}")


def _require_detection(path: Path, task: object) -> None:
    if task != "detect":
        raise ModelError(f"{path}: a model for {task}; Rayline needs one for detection")
