"""Parts as a line publishes them, written into the history by its own writer, their pictures on disk."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.history.database import Database
from pipeline.history.records import record_of
from pipeline.history.writer import write
from pipeline.sinks.snapshots import file_name

GOLDEN = Path(__file__).parents[2] / "golden"
PART, DEFECT = (210, 60, 430, 350), (270, 62, 370, 120)  # on a picture of 640 x 360


@dataclass
class Line:
    """What a line of the test has judged so far."""

    database: Database
    folder: Path  # of the pictures
    name: str = "l1"
    count: int = 0
    message: dict[str, Any] = field(default_factory=lambda: json.loads((GOLDEN / "inspection-1.2.json").read_text()))

    def judge(self, verdict: str = "reject", *, picture: bytes | None = b"", ago_s: float = 0, **changed: Any) -> str:
        """One more part, its id; `picture` empty: one is made, None: there is none."""
        self.count += 1
        one = changed.pop("id", f"{self.name}-cam/1794999000000/{self.count}")
        at = datetime.fromtimestamp(time.time() - ago_s, UTC).isoformat().replace("+00:00", "Z")
        told = self.message | {
            "message_id": one,
            "inspection_id": one,
            "line": self.name,
            "camera": f"{self.name}-cam",
            "verdict": verdict,
            "reasons": {"reject": ["missing cap"], "indeterminate": ["lost"], "pass": []}[verdict],
            "defects": [_defect("missing cap")] if verdict == "reject" else [],
            "box": PART,
            "captured_at": at,
            "decided_at": at,
            "published_at": at,
            "snapshot": None,
        }
        if picture is not None:
            told["snapshot"] = self.stored(one, picture or bottle(self.count, verdict))
        self.write(told | changed)
        return one

    def write(self, *messages: dict[str, Any]) -> None:
        """As the collector does."""
        with self.database.write() as connection:
            write(connection, [record_of(json.dumps(message).encode()) for message in messages])

    def stored(self, one: str, data: bytes) -> dict[str, Any]:
        """What the message says of the picture that is now on disk."""
        path = self.folder / f"{datetime.now(UTC):%Y-%m-%d}" / file_name(one)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return {"uri": path.as_uri(), "sha256": hashlib.sha256(data).hexdigest(), "part_box": PART}


def _defect(label: str) -> dict[str, Any]:
    return {"label": label, "score": 0.91, "box": DEFECT, "part_box": PART}


def bottle(seed: int, verdict: str) -> bytes:
    """A JPEG of something like a bottle, without its cap where it is rejected."""
    rng = np.random.default_rng(seed)
    image = np.full((360, 640, 3), (96, 92, 84), np.uint8)
    image[:, :, :] += rng.integers(0, 12, (360, 640, 1), dtype=np.uint8)
    cv2.rectangle(image, (0, 330), (640, 360), (50, 50, 54), -1)
    colour = tuple(int(value) for value in rng.integers(60, 170, 3))
    cv2.rectangle(image, (240, 150), (400, 340), colour, -1, cv2.LINE_AA)
    cv2.rectangle(image, (290, 90), (350, 160), colour, -1, cv2.LINE_AA)
    cv2.rectangle(image, (250, 200), (390, 280), (235, 235, 235), -1, cv2.LINE_AA)
    if verdict != "reject":
        cv2.rectangle(image, (284, 66), (356, 96), (40, 40, 200), -1, cv2.LINE_AA)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
