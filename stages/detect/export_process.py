"""Runs as a process of its own: `python -m stages.detect.export_process FOLDER PLAN` exports FOLDER/model.pt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from stages.detect.vendor import LOAD_ERRORS, check_pickle, prepare_ultralytics


def export(folder: Path, plan: dict[str, Any]) -> None:
    """Write FOLDER/model.onnx or model.engine with dynamic batch. Raises what ultralytics raises."""
    prepare_ultralytics()
    from ultralytics.models import YOLO

    source = folder / "model.pt"
    check_pickle(source, trusted=plan["trusted"])
    model = YOLO(source)
    if model.task != "detect":
        raise TypeError(f"it is a {model.task} model; Rayline needs one for detection")
    engine = plan["format"] == "engine"
    model.export(
        format=plan["format"],
        imgsz=tuple(plan["image_size"]),
        batch=plan["max_batch"] if engine else 1,  # ONNX takes any batch; an engine is built for one range
        dynamic=True,
        device=0 if engine else "cpu",
        **({"quantize": 16} if engine and plan["half"] else {}),
    )


def main() -> int:
    """Exit status 0, or 1 with the reason as the last line of stderr."""
    try:
        export(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except (*LOAD_ERRORS, AssertionError) as exc:
        print(f"{type(exc).__name__}: {' '.join(str(exc).split())}", file=sys.stderr)  # noqa: T201 - its one answer
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
