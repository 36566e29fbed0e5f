"""What every adapter shares: what it is asked, and what it answers. Standard library only: it runs in peers' venvs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

IMAGE_SIZE = (384, 640)  # height, width
MIN_SCORE = 0.25
IOU = 0.6
WARM_UP_S = 8.0


def parser(description: str | None) -> argparse.ArgumentParser:
    """`--weights FILE.onnx --seconds S --threads N URL ...`; adapters add what is theirs."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("urls", nargs="+", help="cameras")
    options.add_argument("--weights", required=True, help="ONNX file that ultralytics exported, 640x384")
    options.add_argument("--seconds", type=float, default=20.0, help="measured, behind the warm-up")
    options.add_argument("--threads", type=int, default=2, help="of the model")
    return options


class Meter:
    """Counts results from a warm-up behind the first one until the time is over."""

    def __init__(self, seconds: float, warm_up_s: float = WARM_UP_S) -> None:
        self._seconds, self._warm_up_s = seconds, warm_up_s
        self._from: float | None = None
        self._cpu_before: float | None = None
        self._cpu_after = 0.0
        self._latencies_ms: list[float] = []
        self._frames: Counter[int] = Counter()

    def saw(self, camera: int, grabbed_at: float | None = None) -> bool:
        """A frame's result is there; `grabbed_at` by `time.monotonic`, None if unknown. False: the time is over."""
        now = time.monotonic()
        if self._from is None:
            self._from = now + self._warm_up_s
        if now < self._from:
            return True
        if self._cpu_before is None:
            self._cpu_before = time.process_time()
        self._cpu_after = time.process_time()
        if now >= self._from + self._seconds:
            return False
        self._frames[camera] += 1
        if grabbed_at is not None:
            self._latencies_ms.append((now - grabbed_at) * 1e3)
        return True

    def figures(self) -> dict[str, Any]:
        """For `answer`."""
        return {
            "frames": self._frames.total(),
            "seconds": self._seconds,
            "frames_by_camera": [self._frames[camera] for camera in sorted(self._frames)],
            "latency_ms": quantiles(self._latencies_ms),
            "cpu_s": round(self._cpu_after - (self._cpu_before or self._cpu_after), 2),
        }


def quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """p50 and p95; None where the peer does not tell when it grabbed a frame."""
    ranked = sorted(values)
    if not ranked:
        return None
    return {f"p{q}": round(ranked[len(ranked) * q // 100], 1) for q in (50, 95)}


def answer(figures: dict[str, Any], **about: str) -> None:
    """The one JSON line the runner reads: the last on standard output. `about`: version, runtime, tracker."""
    sys.stdout.write("\n" + json.dumps({**figures, **about}) + "\n")
    sys.stdout.flush()
