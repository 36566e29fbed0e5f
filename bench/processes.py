"""What each process of a running Rayline costs: CPU seconds, memory, files and threads, under names a person knows."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import psutil

_REPLICA = re.compile(r"ray::ServeReplica:rayline:([\w-]+)")  # what follows a dot is the call under way
CAMERAS = "camera farm"
BENCH = "bench"
NOT_RAYLINE = frozenset({BENCH, CAMERAS, "gone"})
_NAMES = (
    ("ray::IngestActor", "ingest"),
    ("ray::Supervisor", "supervisor"),
    ("ray::ServeController", "serve controller"),
    ("ray::IDLE", "idle ray workers"),
    ("ray::DashboardAgent", "ray agents"),
    ("ray::RuntimeEnvAgent", "ray agents"),
    ("dashboard/agent.py", "ray agents"),
    ("runtime_env/agent", "ray agents"),
    ("dashboard.py", "ray dashboard"),
    ("log_monitor.py", "ray monitors"),
    ("autoscaler/_private/monitor.py", "ray monitors"),
    ("raylet/raylet", "raylet"),
    ("gcs_server", "gcs"),
    ("redis-server", "redis"),
    ("bench.farm", CAMERAS),
    ("bench.shown", CAMERAS),
)


@dataclass(frozen=True)
class Held:
    """What the processes of one name hold together."""

    processes: int
    rss_mb: float  # pages shared between processes are counted in each
    pss_mb: float  # each shared page is divided among those that share it: the sum is what the machine has less
    fds: int
    threads: int


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


def held() -> dict[str, Held]:
    """All that is held now, by name; dearer than `rss_mb`: some 10 ms of the kernel's time a process."""
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for pid, name in family().items():
        try:
            process = psutil.Process(pid)
            memory = process.memory_full_info()
            found[name].append(Held(1, memory.rss / 1e6, memory.pss / 1e6, process.num_fds(), process.num_threads()))
        except psutil.Error:
            continue
    return {name: _sum(each) for name, each in found.items()}


def _sum(each: list[Held]) -> Held:
    return Held(
        processes=len(each),
        rss_mb=round(sum(one.rss_mb for one in each), 2),
        pss_mb=round(sum(one.pss_mb for one in each), 2),
        fds=sum(one.fds for one in each),
        threads=sum(one.threads for one in each),
    )


def _name(process: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return "gone"
    if process.pid == os.getpid():
        return BENCH
    if found := _REPLICA.search(command):
        return found.group(1)
    return next((name for part, name in _NAMES if part in command), "other ray processes")
