"""What each process of a running Rayline costs: CPU seconds, memory, files and threads, under names a person knows."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

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
    ("raylet/raylet", "raylet"),  # before the agents, whose command lines stand in its own
    ("ray::DashboardAgent", "ray agents"),
    ("ray::RuntimeEnvAgent", "ray agents"),
    ("dashboard/agent.py", "ray agents"),
    ("runtime_env/agent", "ray agents"),
    ("dashboard.py", "ray dashboard"),
    ("log_monitor.py", "ray monitors"),
    ("autoscaler/_private/monitor.py", "ray monitors"),
    ("gcs_server", "gcs"),
    ("redis-server", "redis"),
    ("bench.farm", CAMERAS),
    ("bench.shown", CAMERAS),
)


@dataclass(frozen=True)
class Held:
    """What the processes of one name hold together."""

    processes: int
    rss_mb: float  # pages shared between processes are counted in each; those of the object store that were touched too
    anon_mb: float  # of these, a process's own data: where a leak would be
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
            files, threads = process.num_fds(), process.num_threads()
            mb = (memory.rss / 1e6, _anonymous_bytes(pid) / 1e6, memory.pss / 1e6)
        except (psutil.Error, OSError):
            continue
        found[name].append(Held(1, *mb, files, threads))
    return {name: sum_of(each) for name, each in found.items()}


def sum_of(each: Iterable[Held]) -> Held:
    """What all of them hold together."""
    parts = tuple(each)
    return Held(**{field.name: round(sum(getattr(held, field.name) for held in parts), 2) for field in fields(Held)})


def _anonymous_bytes(pid: int) -> int:
    """RssAnon of the process. Raises OSError when it is gone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


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
