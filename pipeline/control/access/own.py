"""Whether a camera is on one of somebody's lines; one that is not is answered as one that is not there."""

from __future__ import annotations

from pipeline.control.access.roles import Principal
from pipeline.control.names import unknown
from pipeline.orchestrate.desired import DesiredState


def require_own(desired: DesiredState, principal: Principal, camera: str) -> None:
    """Raises ApiError 404, with the nearest name that they may know."""
    line = desired.line_of(camera)
    if line is not None and principal.may_see(line):
        return
    theirs = [name for name in desired.config.cameras if principal.may_see(desired.line_of(name) or name)]
    raise unknown("camera", camera, theirs)
