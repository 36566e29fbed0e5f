"""Why the desired state cannot be read or changed."""

from __future__ import annotations

from stages.errors import RaylineError


class DesiredError(RaylineError):
    """The desired state cannot be read or changed so; the text says what to do."""


class NothingDesired(DesiredError):
    """No `rayline up` has put a configuration into this Redis."""


class DesiredConflict(DesiredError):
    """Somebody else changed it in between; look again before changing it."""
