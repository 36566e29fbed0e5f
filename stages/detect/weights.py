"""Weights are found, compared with their digest and looked into before any library may open them: a .pt is code."""

from __future__ import annotations

import hashlib
import logging
import pickletools
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import fsspec

from stages.detect.settings import ModelSettings
from stages.errors import ModelError

logger = logging.getLogger(__name__)

LFS_MARK = b"version https://git-lfs"
MAX_WEIGHTS_BYTES = 4 << 30  # a download beyond this is not a detector's weights
CHUNK_BYTES = 1 << 20


class WeightsFormat(StrEnum):
    """What kind of file the weights are."""

    PT = "pt"
    ONNX = "onnx"
    OPENVINO = "openvino"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that passed every check that needs no loading."""

    path: Path
    format: WeightsFormat
    sha256: str  # of the file; of an OpenVINO folder: of its .bin after its .xml
    trusted: bool  # the settings named this very digest, so its code may run


def find_weights(settings: ModelSettings, cache_dir: Path) -> Weights:
    """The weights the settings name, fetched into `cache_dir` if remote.

    Raises ModelError, naming the file and the cure.
    """
    path = _fetched(settings, cache_dir) if "://" in settings.weights else Path(settings.weights).expanduser()
    weights_format = _format(path)
    _refuse_stand_ins(path, weights_format)
    digest = _digest(path, weights_format)
    if settings.sha256 is not None and digest != settings.sha256:
        raise ModelError(
            f"{path}: its sha256 is {digest}, the settings want {settings.sha256}. "
            "Get the right file, or set models.<name>.sha256 to the new digest if the change is meant"
        )
    if weights_format is WeightsFormat.PT:
        _refuse_unreadable_pt(path)
    return Weights(path, weights_format, digest, trusted=settings.sha256 is not None)


def _format(path: Path) -> WeightsFormat:
    if not path.exists():
        raise ModelError(f"{path}: no such weights file; check models.<name>.weights (working folder: {Path.cwd()})")
    if path.is_dir():
        if len(list(path.glob("*.xml"))) == 1:
            return WeightsFormat.OPENVINO
        raise ModelError(f"{path}: a folder, but not an OpenVINO model (it needs one .xml file and its .bin)")
    by_suffix = {f".{known.value}": known for known in WeightsFormat if known is not WeightsFormat.OPENVINO}
    if path.suffix.lower() not in by_suffix:
        raise ModelError(f"{path}: not a kind of weights Rayline loads; use .pt, .onnx, .engine or an OpenVINO folder")
    return by_suffix[path.suffix.lower()]


def _refuse_stand_ins(path: Path, weights_format: WeightsFormat) -> None:
    """Files that are there and yet are no weights."""
    if weights_format is WeightsFormat.OPENVINO:
        if not _openvino_files(path)[1].exists():
            raise ModelError(f"{path}: its .bin file is missing; copy the whole folder")
        return
    with path.open("rb") as file:
        head = file.read(len(LFS_MARK))
    if not head:
        raise ModelError(f"{path}: the file is empty; copy or download it again")
    if head == LFS_MARK:
        raise ModelError(
            f"{path}: a Git LFS pointer, not the weights themselves; run `git lfs pull` where it came from"
        )


def _refuse_unreadable_pt(path: Path) -> None:
    """Look into a .pt without running any of it: whole, a checkpoint, and of a family ultralytics can load."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
            modules = set(_modules(archive.read(pickles[0]))) if pickles else set()
    except (zipfile.BadZipFile, OSError, ValueError) as exc:
        raise ModelError(
            f"{path}: truncated or damaged, or no torch checkpoint at all ({path.stat().st_size} bytes); "
            "copy or download it again"
        ) from exc
    if not pickles:
        raise ModelError(f"{path}: no torch checkpoint; save the model with ultralytics' model.save()")
    if any(name == "models" or name.startswith("models.") for name in modules):
        raise ModelError(
            f"{path}: a checkpoint of the YOLOv5 repository, which ultralytics cannot load; "
            "use the yolov5u weights, or train anew with ultralytics"
        )


def _modules(pickled: bytes) -> Iterator[str]:
    """Modules a pickle would import; it is read, not run. Raises ValueError where it is cut short."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL" and isinstance(argument, str):
            yield argument.split(" ", 1)[0]


def _digest(path: Path, weights_format: WeightsFormat) -> str:
    digest = hashlib.sha256()
    for part in _openvino_files(path) if weights_format is WeightsFormat.OPENVINO else (path,):
        with part.open("rb") as file:
            for chunk in _chunks(file):
                digest.update(chunk)
    return digest.hexdigest()


def _openvino_files(folder: Path) -> tuple[Path, Path]:
    xml = next(folder.glob("*.xml"))
    return xml, xml.with_suffix(".bin")


def _fetched(settings: ModelSettings, cache_dir: Path) -> Path:
    """A remote file, kept under its digest: fetched once, and never without one."""
    if settings.sha256 is None:
        raise ModelError(f"{_shown(settings.weights)}: remote weights need models.<name>.sha256, for a .pt is code")
    target = cache_dir / "fetched" / f"{settings.sha256}{Path(settings.weights).suffix}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        logger.info("fetching weights %s", _shown(settings.weights))
        _fetch(settings.weights, target)
    return target


def _fetch(uri: str, target: Path) -> None:
    fetched = 0
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as local:
        try:
            with fsspec.open(uri, "rb") as remote:
                for chunk in _chunks(remote):
                    fetched += len(chunk)
                    if fetched > MAX_WEIGHTS_BYTES:
                        raise ModelError(
                            f"{_shown(uri)}: more than {MAX_WEIGHTS_BYTES} bytes; not a detector's weights"
                        )
                    local.write(chunk)
            local.flush()
            Path(local.name).replace(target)
        except (OSError, ValueError, ImportError) as exc:
            raise ModelError(f"{_shown(uri)}: cannot be fetched ({type(exc).__name__}); check the address") from exc
        finally:
            Path(local.name).unlink(missing_ok=True)


def _shown(uri: str) -> str:
    """The address without user, password or query."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.split('?', 1)[0].rsplit('@', 1)[-1]}"


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
