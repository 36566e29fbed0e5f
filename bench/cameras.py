"""Cameras as processes of their own, so that what they cost can be left out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

STOP_TIMEOUT_S = 15.0


@contextmanager
def farm(cameras: int, fps: float = 30.0) -> Iterator[list[str]]:
    """Addresses of so many RTSP cameras that show the bottle line, 640x360; they end on leaving."""
    with camera_process(["-m", "bench.farm", f"--cameras={cameras}", f"--fps={fps}"]) as process:
        yield json.loads(first_line(process))


@contextmanager
def camera_process(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A Python process that serves until its standard input ends, as on leaving."""
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    assert process.stdin is not None  # noqa: S101 - asked for above
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)


def first_line(process: subprocess.Popen[str]) -> str:
    """What the process says once it serves. Raises RuntimeError if it ended instead."""
    assert process.stdout is not None  # noqa: S101 - asked for above
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the cameras did not start: {process.args!r}")
    return line
