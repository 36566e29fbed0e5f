"""Exported models are made once, by whoever asks first, and found again by what they were made of."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import filelock

from stages.detect.weights import Weights
from stages.errors import ModelError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
KEPT_EXPORTS = 50  # least recently used go first
STALE_S = 6 * 3600  # a half-made export this old belongs to a process that died


class ExportFailed(ModelError):
    """The weights may be good, but could not be exported; they may still run as they are."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What to make of the weights."""

    format: str  # onnx (runs in ONNX Runtime and OpenVINO alike) | engine
    image_size: tuple[int, int]  # h, w
    max_batch: int
    half: bool
    trusted: bool  # the weights' code may run
    threads: int
    device: str = ""  # an engine fits one kind of GPU and one TensorRT only

    def key(self, sha256: str) -> str:
        """Folder name that tells apart whatever would make another file."""
        height, width = self.image_size
        parts = [sha256[:20], self.format, f"{height}x{width}", f"ultralytics{version('ultralytics')}"]
        if self.format == "engine":
            parts += [f"b{self.max_batch}", "fp16" if self.half else "fp32", self.device]
        return "-".join(part for part in parts if part)


def export_once(weights: Weights, plan: ExportPlan, cache_dir: Path, timeout_s: float) -> Path:
    """The exported model's file: from the cache, else made now, while other processes that want it wait.

    The export runs in a process of its own, so that this one never holds what only exporting needs. Raises
    ExportFailed where it fails or takes longer than `timeout_s`, waiting for others included.
    """
    deadline = time.monotonic() + timeout_s
    target = cache_dir / plan.key(weights.sha256)
    found = _cached(target, weights.sha256)
    if found is not None:
        return found
    cache_dir.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(cache_dir / f"{target.name}.lock", timeout=timeout_s):
            found = _cached(target, weights.sha256)
            if found is None:
                _export(weights, plan, target, deadline - time.monotonic())
                found = _cached(target, weights.sha256)
    except filelock.Timeout as exc:
        raise ExportFailed(f"{weights.path}: another process has been exporting it for over {timeout_s:.0f} s") from exc
    if found is None:
        raise ExportFailed(f"{weights.path}: its export in {target} vanished or changed as it was made")
    _forget_oldest(cache_dir)
    return found


def _cached(target: Path, source_sha256: str) -> Path | None:
    """The export in this folder if it is whole and of these weights."""
    try:
        manifest = json.loads((target / MANIFEST).read_text())
        model = target / str(manifest["file"])
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        logger.warning("cached export %s is unreadable (%s); exporting again", target, exc)
        return None
    if (manifest.get("sha256"), manifest.get("source_sha256")) != (digest, source_sha256):
        logger.warning("cached export %s is not what was stored there; exporting again", target)
        return None
    os.utime(target)
    return model


def _export(weights: Weights, plan: ExportPlan, target: Path, timeout_s: float) -> None:
    _clear_stale(target)
    started = time.monotonic()
    logger.info("exporting %s to %s for %dx%d", weights.path, plan.format, *reversed(plan.image_size))
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        shutil.copyfile(weights.path, work / "model.pt")  # ultralytics writes beside its input
        model = _run_export(weights.path, work, plan, timeout_s)
        manifest = {
            "file": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "source_sha256": weights.sha256,
            "plan": asdict(plan),
        }
        (work / "model.pt").unlink()
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1))
        work.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    logger.info("exported %s in %.1f s", weights.path, time.monotonic() - started)


def _run_export(source: Path, work: Path, plan: ExportPlan, timeout_s: float) -> Path:
    command = [sys.executable, "-m", "stages.detect.export_process", str(work), json.dumps(asdict(plan))]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, arguments made here
            command,
            env=_environment(plan.threads),
            capture_output=True,
            text=True,
            timeout=max(timeout_s, 1),
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ExportFailed(f"{source}: exporting to {plan.format} took over {timeout_s:.0f} s") from exc
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise ExportFailed(f"{source}: cannot be exported to {plan.format}: {last}")
    model = work / f"model.{plan.format}"
    if not model.exists():
        raise ExportFailed(f"{source}: exporting to {plan.format} made no file")
    return model


def _environment(threads: int) -> dict[str, str]:
    """Ours, offline, and able to import this package from wherever it was imported here."""
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONWARNINGS": "ignore",
    }


def _clear_stale(target: Path) -> None:
    for folder in target.parent.glob(f".{target.name}.*"):
        if time.time() - folder.stat().st_mtime > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)


def _forget_oldest(cache_dir: Path) -> None:
    exports = sorted(
        cache_dir.glob(f"*/{MANIFEST}"), key=lambda manifest: manifest.parent.stat().st_mtime, reverse=True
    )
    for manifest in exports[KEPT_EXPORTS:]:
        shutil.rmtree(manifest.parent, ignore_errors=True)
