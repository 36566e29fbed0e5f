"""Processes that serve people step back behind those that serve cameras."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def let_the_line_go_first() -> None:
    """This process takes what of the machine's cores is left, from now on: its threads there are, and those they start.

    The system's class for idle work: whoever else wakes up goes first at once, and where everybody always has work, a
    thread of it still gets a share, a hundredth of what Ray's workers get each (RAY_worker_niceness in
    pipeline/local_ray.py). Another nice value would not do: it divides time by the second, and a frame waits for
    milliseconds.
    """
    if sys.platform != "linux":  # elsewhere there is no such class, and Ray's nice value is all there is
        return
    for task in Path("/proc/self/task").iterdir():
        try:
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
        except ProcessLookupError:  # it has ended
            continue
