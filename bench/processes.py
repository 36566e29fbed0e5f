"""What each process of a running Rayline costs: CPU seconds and memory, under names a person knows."""

from __future__ import annotations

import os
import re
from collections import Counter

import psutil

_REPLICA = re.compile(r"ray::ServeReplica:rayline:([\w-]+)")  # what follows a dot is the call under way
_NAMES = (
    ("ray::IngestActor", "ingest"),
    ("ray::Supervisor", "supervisor"),
    ("ray::ServeController", "serve controller"),
    ("raylet", "raylet"),
    ("gcs_server", "gcs"),
    ("redis-server", "redis"),
    ("bench.farm", "camera farm"),
)


def family() -> dict[int, str]:
    """pid -> name, for this process and everything it started (Ray's daemons included)."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return {process.pid: _name(process) for process in processes if process.is_running()}


def cpu_seconds() -> Counter[str]:
    """CPU seconds used so far, by name. Processes that ended in between count as if they had used nothing."""
    used: Counter[str] = Counter()
    for pid, name in family().items():
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        used[name] += times.user + times.system
    return used


def rss_mb() -> Counter[str]:
    """Memory held now, MB, by name. Pages shared between processes are counted in each."""
    held: Counter[str] = Counter()
    for pid, name in family().items():
        try:
            held[name] += psutil.Process(pid).memory_info().rss / 1e6
        except psutil.Error:
            continue
    return held


def _name(process: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return "gone"
    if process.pid == os.getpid():
        return "bench"
    if found := _REPLICA.search(command):
        return found.group(1)
    return next((name for part, name in _NAMES if part in command), "other ray processes")
