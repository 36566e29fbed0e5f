"""What there is to say of a configuration that is valid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.config_errors import Problem


class Severity(StrEnum):
    """Whether `up` starts in spite of it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a configuration."""

    severity: Severity
    problem: Problem


def error(path: tuple[str | int, ...], message: str, hint: str = "") -> Finding:
    """One that `up` does not start with."""
    return Finding(Severity.ERROR, Problem(path, message, hint))


def warning(path: tuple[str | int, ...], message: str, hint: str = "") -> Finding:
    """One that it starts with."""
    return Finding(Severity.WARNING, Problem(path, message, hint))
