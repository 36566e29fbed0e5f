"""What cameras, lines and recipes may be called, and the nearest right name to a wrong one."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated

from pydantic import StringConstraints

from stages.values import CameraId, LineId

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
NAME_RULE = "lower-case letters, digits, '.', '_' and '-', at most 63, a letter or digit first"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

_NAME = re.compile(NAME_PATTERN)


def camera_id(text: str) -> CameraId:
    """The text as a camera's name. Raises ValueError with the rule and a name that would do."""
    return CameraId(_checked("camera", text))


def line_id(text: str) -> LineId:
    """The text as a line's name. Raises ValueError with the rule and a name that would do."""
    return LineId(_checked("line", text))


def is_name(text: str) -> bool:
    """True where the text may name a camera, line, recipe or model."""
    return _NAME.match(text) is not None and not text.endswith("\n")


def usable_name(text: str) -> str:
    """The nearest name that is allowed: 'Cam 1' -> 'cam-1'. Empty if nothing of it can stay."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63]


def did_you_mean(wrong: str, right: Iterable[str]) -> str | None:
    """The one of `right` that `wrong` most likely meant, or None where nothing is near."""
    near = get_close_matches(wrong.lower(), list(right), n=1, cutoff=0.6)
    return near[0] if near else None


def choices(right: Iterable[str], most: int = 12) -> str:
    """A list for an error message: 'a, b, c', cut where it gets long."""
    names = sorted(right)
    cut = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return ", ".join(names[:most]) + cut if names else "none"


def _checked(noun: str, text: str) -> str:
    if is_name(text):
        return text
    near = usable_name(text)
    raise ValueError(f"{noun} name {text!r}: {NAME_RULE}" + (f" (for example {near!r})" if near else ""))
