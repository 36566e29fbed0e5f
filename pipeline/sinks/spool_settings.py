"""How results wait on disk while Redis is away, and where."""

from __future__ import annotations

import hashlib
import os
import tempfile
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from pipeline.sinks.redis_client import RedisSettings
from stages.settings import Settings


class Fsync(StrEnum):
    """When what is spooled is on the disk."""

    CHECKPOINT = "checkpoint"
    ALWAYS = "always"


class SpoolSettings(Settings):
    """Where live results wait while Redis is away, and how many."""

    dir: Path | None = Field(
        None,
        description="Folder on a disk of the machine that tracks; in it a folder for each Redis, with a file a shard. "
        "null: $XDG_STATE_HOME/rayline/spool (else ~/.local/state/rayline/spool). An embedded Redis has no folder of "
        "its own in it: its files lie in `dir`, else in its `data_dir`, or without one where they end with the run.",
    )
    max_bytes: int = Field(
        256_000_000,
        ge=100_000,
        le=10**12,
        description="Bytes a shard's file may hold, about. More outlasts a longer absence of Redis; less takes less "
        "disk. When it is full the oldest frames go, counted and told; their verdicts stay longest.",
    )
    max_age_s: float = Field(
        86400.0,
        ge=1,
        le=365 * 86400.0,
        description="Age in seconds at which a result is no longer worth storing. Longer loses less; shorter is back "
        "at the present sooner.",
    )
    fsync: Fsync = Field(
        Fsync.CHECKPOINT,
        description="checkpoint: what is spooled survives the death of Rayline's processes; a power cut costs the last "
        "few MB of it. always: survives a power cut too, and waits for the disk at each batch.",
    )
    patience_s: float = Field(
        0.25,
        ge=0.01,
        le=60,
        description="Seconds a live batch waits for Redis before it is spooled. Longer spools less often; longer than "
        "the cameras' buffers last (`buffer_frames`) drops frames when Redis hangs.",
    )
    drain_frames_per_s: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Frames a second that are stored at most when Redis is back, per track replica. More is back at "
        "the present sooner; fewer leave Redis and its readers more room. Less than the cameras give never ends.",
    )
    write_timeout_s: float = Field(
        2.0,
        ge=0.05,
        le=60,
        description="Seconds the disk may take. Longer rides out a busy one; shorter holds the line back less when it "
        "hangs. After one miss it is left alone for 10 s.",
    )


def default_folder(redis: RedisSettings) -> Path:
    """The user's folder for what waits for this Redis."""
    return folder_of(redis, _state_folder() / "rayline" / "spool")


def folder_of(redis: RedisSettings, parent: Path) -> Path:
    """The folder for what waits for this Redis, the same whatever its password is: none is stored in another's."""
    parts = urlsplit(redis.url.get_secret_value())
    database = parse_qs(parts.query).get("db", [parts.path.strip("/") if parts.scheme != "unix" else ""])[0] or "0"
    name = f"{redis.address}/{database}"
    return parent / hashlib.sha256(name.encode()).hexdigest()[:12]


def _state_folder() -> Path:
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"rayline-{os.getuid()}"
