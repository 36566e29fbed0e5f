"""Names in a path, and what is said where there is none of that name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Path

from pipeline.control.problems import ApiError
from pipeline.names import NAME_PATTERN, choices, did_you_mean

_Named = Path(pattern=NAME_PATTERN, max_length=63)

CameraName = Annotated[str, _Named]
LineName = Annotated[str, _Named]
ModelName = Annotated[str, _Named]


def unknown(noun: str, name: str, known: Iterable[str]) -> ApiError:
    """404 with the nearest of the names that the caller may know."""
    names = list(known)
    near = did_you_mean(name, names)
    hint = f"did you mean {near!r}?" if near else f"there are: {choices(names)}"
    return ApiError(404, f"there is no {noun} {name[:63]!r}; {hint}")
