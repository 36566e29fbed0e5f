"""What every way of telling people has."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pipeline.alarms.values import Severity
from pipeline.names import Name
from stages.errors import RaylineError
from stages.settings import Settings

_MOST_BYTES = 4096  # of a file that holds one secret


class AlarmsMisconfigured(RaylineError):
    """A file the settings name cannot be read; the text holds no secret."""


class ChannelSettings(Settings):
    """Whom it concerns, and how long it is tried."""

    lines: tuple[Name, ...] | None = Field(None, min_length=1, description="Lines it is told of. null: all.")
    severity: Severity = Field(Severity.WARNING, description="`critical`: told of nothing less. `warning`: of all.")
    timeout_s: float = Field(
        10.0, gt=0, le=120, description="Longest one attempt may take. Longer suits slow servers; shorter tries again."
    )
    tries: int = Field(
        12,
        ge=1,
        le=100,
        description="Attempts before a message is given up, the rests between them doubling from 1 s to 5 min: 12 are "
        "some 20 min. More reach a server that was away for longer; fewer spare it old news.",
    )
    most_waiting: int = Field(
        500,
        ge=1,
        le=100_000,
        description="Messages that may wait for it; beyond, the oldest are given up. More bridges a longer absence.",
    )


def read_secret(file: Path, setting: str) -> str:
    """What the file holds. Raises AlarmsMisconfigured."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MOST_BYTES + 1)
        text = raw.decode().strip()
    except OSError as exc:
        raise AlarmsMisconfigured(f"{setting} {file}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise AlarmsMisconfigured(f"{setting} {file}: is not text") from None
    if not text or len(raw) > _MOST_BYTES:
        raise AlarmsMisconfigured(f"{setting} {file}: must hold one value, at most {_MOST_BYTES} bytes")
    return text
