"""Messages of parts, and JPEGs, for tests."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from stages.results.models import InspectionMessage, parse_message

GOLDEN = Path(__file__).parents[3] / "golden" / "inspection-1.2.json"


def text(**changed: Any) -> str:
    return json.dumps(json.loads(GOLDEN.read_text()) | changed)


def message(**changed: Any) -> InspectionMessage:
    found = parse_message(text(**changed).encode())
    assert isinstance(found, InspectionMessage)
    return found


def jpeg(width: int, height: int, colour: tuple[int, int, int] = (120, 120, 120)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG", quality=95)
    return out.getvalue()
