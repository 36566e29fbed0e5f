"""What a part may be called. Without numpy: a command line asks it for its choices."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a part may be called."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    REJECT = "reject"
    INDETERMINATE = "indeterminate"
