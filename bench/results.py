"""Where benchmarks write what they measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tell(report: Mapping[str, Any], path: Path | None) -> None:
    """One JSON document on standard output, and in the file where there is to be one."""
    text = json.dumps(report, indent=2)
    sys.stdout.write(text + "\n")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
