"""What somebody may do with a camera, by whose line it is on; one of others is answered as one that is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.control.access.roles import Principal
from pipeline.control.names import unknown
from pipeline.control.problems import ApiError
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_errors import DesiredError
from stages.values import CameraId

Require = Callable[[DesiredState, Principal, str], None]  # of a camera


def require_own(desired: DesiredState, principal: Principal, camera: str) -> None:
    """Raises ApiError 404, with the nearest name that they may know."""
    line = desired.line_of(camera)
    if line is not None and principal.may_see(line):
        return
    theirs = [name for name in desired.config.cameras if principal.may_see(desired.line_of(name) or name)]
    raise unknown("camera", camera, theirs)


def require_running(desired: DesiredState, principal: Principal, camera: str) -> None:
    """That it is theirs and to run, paused or not. Raises ApiError 404, with what brings it back."""
    require_own(desired, principal, camera)
    if camera in desired.config.cameras:
        return
    back = f"POST /v1/cameras/{camera}/reset"
    if why := desired.problems.get(CameraId(camera)):
        raise ApiError(404, f"camera {camera!r} was added and cannot run: {why}; {back} drops it")
    raise ApiError(404, f"camera {camera!r} was removed; {back} brings it back")


def require_line(principal: Principal, line: Any) -> None:
    """Raises ApiError 403, of a line of others and one that is not there alike.

    What is no name the configuration refuses.
    """
    if isinstance(line, str) and not principal.may_see(line):
        raise ApiError(403, f"line {line[:63]!r} is none of yours")


def require_addable(desired: DesiredState, principal: Principal, camera: str, settings: Mapping[str, Any]) -> None:
    """That they may add it. Raises ApiError 403, and DesiredError where others have taken one of that name away."""
    require_line(principal, settings.get("line") or camera)
    in_file = desired.file.cameras.get(camera)  # whose owners may bring it back
    if in_file is not None and not principal.may_see(in_file.line or camera):
        raise DesiredError(f"camera {camera!r} is there already: choose another name")


def require_resettable(desired: DesiredState, principal: Principal, camera: str) -> None:
    """That it is theirs, and theirs again as the config file has it. Raises ApiError 404 or 403."""
    require_own(desired, principal, camera)
    in_file = desired.file.cameras.get(camera)  # it may come back on another line
    if in_file is not None:
        require_line(principal, in_file.line or camera)
