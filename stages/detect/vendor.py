"""How ultralytics is imported and trusted here: offline, installing nothing, and running no stranger's pickle."""

from __future__ import annotations

import os
from pathlib import Path

# What loading or exporting a file through ultralytics and torch has been seen to raise.
LOAD_ERRORS = (OSError, TypeError, ValueError, KeyError, AttributeError, ImportError, RuntimeError, EOFError)


def prepare_ultralytics() -> None:
    """Call before the first import of ultralytics in a process; it reads these once."""
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")


def check_pickle(path: Path, trusted: bool) -> None:
    """Refuse a .pt with classes beyond ultralytics' and torch's, unless it is trusted. Raises TypeError."""
    if trusted:
        return
    prepare_ultralytics()
    from ultralytics.nn.tasks import torch_safe_load

    try:
        torch_safe_load(path, safe_only=True)  # type: ignore[no-untyped-call]
    except TypeError as exc:
        raise TypeError(
            "it holds classes beyond those of ultralytics and torch, and loading it would run their code; "
            "if you trust it, pin it by models.<name>.sha256"
        ) from exc
