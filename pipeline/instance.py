"""The note a running `rayline up` leaves, so that `rayline status` finds its Redis without being told."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

REDIS_ENV = "RAYLINE_REDIS_URL"
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True, slots=True)
class Instance:
    """A running Rayline on this machine."""

    redis_url: str
    pid: int
    started_at: float
    config: str = ""  # the config file, for people to recognise it by

    def alive(self) -> bool:
        """True while the process that wrote the note runs (a reused pid started later than the note)."""
        try:
            return psutil.Process(self.pid).create_time() <= self.started_at + 1.0
        except psutil.Error:
            return False

    def __repr__(self) -> str:
        return f"Instance(pid={self.pid}, config={self.config!r})"  # the address may hold a password


def instance_path() -> Path:
    """Where the note lies: the user's runtime folder, else the cache folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path.home() / ".cache"
    return base / "rayline" / "instance.json"


def write_instance(instance: Instance, path: Path | None = None) -> Path:
    """Leave the note, readable by this user alone (the address may hold a password)."""
    path = path or instance_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(instance), file)
    draft.replace(path)
    return path


def read_instance(path: Path | None = None) -> Instance | None:
    """The note of the Rayline running here, or None: none was left, or its writer is gone."""
    try:
        instance = Instance(**json.loads((path or instance_path()).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return instance if instance.alive() else None


def remove_instance(pid: int, path: Path | None = None) -> None:
    """Take our own note back; another's stays."""
    path = path or instance_path()
    with suppress(OSError, ValueError, TypeError):
        if Instance(**json.loads(path.read_text())).pid == pid:
            path.unlink()


def redis_url(given: str | None = None) -> str:
    """Which Redis a command talks to: the one given, RAYLINE_REDIS_URL, the running instance's, the local default."""
    if given or os.environ.get(REDIS_ENV):
        return given or os.environ[REDIS_ENV]
    instance = read_instance()
    return instance.redis_url if instance else DEFAULT_REDIS_URL
