"""The machine that a configuration is to run on, and what it lacks for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import RaylineConfig
from pipeline.config_findings import Finding, error, warning
from pipeline.control.access.token_settings import TokensMisconfigured
from pipeline.sinks.spool_settings import default_folder


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on."""

    cores: float
    gpus: float = 0.0

    @classmethod
    def here(cls) -> Machine:
        """This machine, as far as this process may use it."""
        return cls(cores=float(len(os.sched_getaffinity(0))), gpus=float(_gpus()))

    def lacks(self, config: RaylineConfig) -> list[Finding]:
        """What only the machine can tell: too few cores, folders and files that cannot be used."""
        return [*self._places(config), *_spool(config), *_api(config), *_history_files(config)]

    def _places(self, config: RaylineConfig) -> Iterator[Finding]:
        models = len(config.models_in_use())
        cpus = config.cpus_needed()
        if cpus > self.cores + 1e-6:
            yield error(
                ("graph",),
                f"asks Ray for {cpus:g} cores, this machine has {self.cores:g}: it would wait for ever",
                "lower `*_cpus` (shares for placement, they throttle nothing) or `*_replicas`, or raise `shard_size`",
            )
        gpus = config.graph.gpus_needed(models)
        if gpus > self.gpus + 1e-6:
            yield error(
                ("graph", "detect_gpus"),
                f"asks Ray for {gpus:g} GPUs, this machine has {self.gpus:g}",
                "0 sets none aside; a fraction lets replicas share a GPU",
            )


def _spool(config: RaylineConfig) -> Iterator[Finding]:
    """A folder that cannot be written costs nothing until Redis is away, and then every live frame."""
    if config.spool is None or (config.redis.embedded and config.spool.dir is None):
        return
    what = _unusable(config.spool.dir or default_folder(config.redis_settings()))
    if what is not None:
        say = warning if config.spool.dir is None else error
        yield say(("spool", "dir"), what, "live results wait there while Redis is away; `spool: null` does without")


def _history_files(config: RaylineConfig) -> Iterator[Finding]:
    """A folder that cannot be written, a password that cannot be read: parts would wait in Redis until it is full."""
    history, folder = config.history, config.history_folder()
    if history is None:
        return
    if folder is not None and (what := _unusable(folder)) is not None:
        yield error(("history", "data_dir"), what)
    file = history.password_file
    if not history.embedded and file is not None and not os.access(file, os.R_OK):
        yield error(("history", "password_file"), f"{file}: cannot be read")


def _api(config: RaylineConfig) -> Iterator[Finding]:
    """Files without which the API would not start."""
    auth = config.api.auth if config.api is not None else None
    if auth is None:
        return
    if auth.own is not None:
        try:
            auth.own.signing_key()
        except TokensMisconfigured as exc:
            yield error(("api", "auth", "own"), str(exc).partition(" ")[2])
    file = auth.provider.jwks_file if auth.provider is not None else None
    if file is not None and not os.access(file, os.R_OK):
        yield error(("api", "auth", "provider", "jwks_file"), f"{file}: cannot be read")


def _unusable(folder: Path) -> str | None:
    """Why nothing can be kept there, once it is made; None: it can."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        return f"{there}: is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there}: cannot be written"


def _gpus() -> int:
    """NVIDIA GPUs, by the driver's own list: asking torch would cost seconds."""
    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.is_dir() else 0
