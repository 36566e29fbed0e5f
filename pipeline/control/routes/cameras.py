"""Cameras: which are to run and how they do; add, change, pause and remove them while all runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from pipeline.control.access.own import (
    Require,
    require_addable,
    require_line,
    require_resettable,
    require_running,
)
from pipeline.control.access.roles import Principal
from pipeline.control.authors import By
from pipeline.control.cameras.admission import require_admissible, require_kept_secrets
from pipeline.control.cameras.answers import CameraAnswer, CameraList, State, answer_of, state_of, versions, views
from pipeline.control.cameras.given import CameraChanges, NewCamera, changes_of, named
from pipeline.control.etags import IfMatch, IfNoneMatch, is_expected, is_known, quoted
from pipeline.control.names import CameraName
from pipeline.control.problems import ApiError
from pipeline.control.services import Caller, Here, Services
from pipeline.names import NAME_PATTERN
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredConflict, Expect
from pipeline.orchestrate.state import by_name
from stages.values import CameraId

router = APIRouter(tags=["cameras"])

MOST_LISTED = 1000
_ETAG = {"ETag": {"description": "Names what is desired of the camera, for If-Match.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "Where the camera is from now on.", "schema": {"type": "string"}}}
_TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}}


@router.get("/v1/cameras", summary="Your lines' cameras, and how they do")
async def list_cameras(
    here: Here,
    caller: Caller,
    line: Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only this line's.")] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="At most so many.")] = MOST_LISTED,
    after: Annotated[str, Query(max_length=63, description="Only names behind this one.")] = "",
) -> CameraList:
    """What is desired and what was last reported, in one. Cameras of lines that are not yours are left out."""
    async with here.desired() as store:
        desired = await store.read()
    async with here.state() as states:
        report = await states.read(None if line is None else desired.cameras_on(line))

    def is_asked_for(camera: str) -> bool:
        line_of_it = desired.line_of(camera) or camera
        return caller.may_see(line_of_it) and line in (None, line_of_it)

    states_of = by_name(report)
    found = [
        camera
        for camera in desired.config.camera_ids()
        if camera > after and is_asked_for(camera) and state in (None, state_of(report, states_of.get(camera)))
    ]
    shown = found[:limit]
    return CameraList(
        **versions(desired, report),
        cameras=views(desired, report, shown),
        next=shown[-1] if len(found) > limit else None,
        removed=[camera for camera in desired.removed() if is_asked_for(camera)],
        problems={camera: why for camera, why in sorted(desired.problems.items()) if is_asked_for(camera)},
    )


@router.post(
    "/v1/cameras",
    summary="Add a camera",
    status_code=201,
    responses={201: {"headers": _ETAG | _LOCATION}},
)
async def add_camera(here: Here, caller: Caller, by: By, given: NewCamera, response: Response) -> CameraAnswer:
    """Settings as in the config file, and `name`. It is read from about a second later on; `in_force` tells."""
    name, settings = named(given)
    require_admissible(name, settings, here.settings.camera_schemes)

    def expect(desired: DesiredState) -> None:
        require_addable(desired, caller, name, settings)

    async with here.desired() as store:
        after = await store.add(name, settings, expect, by)
    response.headers["Location"] = f"/v1/cameras/{name}"
    return await _answer(here, after, name, response)


@router.get(
    "/v1/cameras/{camera}",
    summary="One camera, and how it does",
    responses={**_TAGGED, 304: {"description": "What is desired of it is what you have.", "headers": _ETAG}},
    response_model=CameraAnswer,
)
async def get_camera(
    here: Here, caller: Caller, camera: CameraName, response: Response, if_none_match: IfNoneMatch = None
) -> CameraAnswer | Response:
    """The ETag names what is desired of it and not how it does: leave If-None-Match out to see that."""
    async with here.desired() as store:
        desired = await store.read()
    require_running(desired, caller, camera)
    tag = desired.tag(CameraId(camera))
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": quoted(tag)})
    return await _answer(here, desired, camera, response)


@router.patch("/v1/cameras/{camera}", summary="Change a camera's settings", responses=_TAGGED)
async def change_camera(
    here: Here,
    caller: Caller,
    by: By,
    camera: CameraName,
    given: CameraChanges,
    response: Response,
    if_match: IfMatch = None,
) -> CameraAnswer:
    """What is left out stays as it is, the password in `url` too.

    `null` means what it means in the config file (`fps: null`: every picture). A setting that is never null there goes
    back to what the file says, or to its default.
    """
    if not given:
        raise ApiError(422, "nothing to change: give at least one setting, such as fps")
    require_admissible(camera, given, here.settings.camera_schemes)
    changes = changes_of(given)
    as_it_was = _expecting(caller, camera, if_match)

    def expect(desired: DesiredState) -> None:
        as_it_was(desired)
        if "line" in changes.changed:
            require_line(caller, changes.changed["line"] or camera)
        require_kept_secrets(camera, desired.config.cameras[camera], changes.changed)

    async with here.desired() as store:
        after = await store.set(camera, changes.changed, expect, by, changes.dropped)
    return await _answer(here, after, camera, response)


@router.delete("/v1/cameras/{camera}", summary="Take a camera away", status_code=204)
async def remove_camera(here: Here, caller: Caller, by: By, camera: CameraName, if_match: IfMatch = None) -> None:
    """One that was added is forgotten; one of the config file stays away until `reset`."""
    async with here.desired() as store:
        await store.remove(camera, _expecting(caller, camera, if_match), by)


@router.post("/v1/cameras/{camera}/pause", summary="Stop reading a camera and keep its place", responses=_TAGGED)
async def pause_camera(
    here: Here, caller: Caller, by: By, camera: CameraName, response: Response, if_match: IfMatch = None
) -> CameraAnswer:
    """Its connection is closed; `resume` opens it again."""
    async with here.desired() as store:
        after = await store.pause(camera, _expecting(caller, camera, if_match), by)
    return await _answer(here, after, camera, response)


@router.post("/v1/cameras/{camera}/resume", summary="Read a paused camera again", responses=_TAGGED)
async def resume_camera(
    here: Here, caller: Caller, by: By, camera: CameraName, response: Response, if_match: IfMatch = None
) -> CameraAnswer:
    """One that is not paused goes on as it is."""
    async with here.desired() as store:
        after = await store.resume(camera, _expecting(caller, camera, if_match), by)
    return await _answer(here, after, camera, response)


@router.post("/v1/cameras/{camera}/restart", summary="Open a camera's source anew", responses=_TAGGED)
async def restart_camera(
    here: Here, caller: Caller, by: By, camera: CameraName, response: Response, if_match: IfMatch = None
) -> CameraAnswer:
    """Its connection is closed and opened again, as for a camera that hangs; a file goes on where it was."""
    async with here.desired() as store:
        after = await store.restart(camera, _expecting(caller, camera, if_match), by)
    return await _answer(here, after, camera, response)


@router.post(
    "/v1/cameras/{camera}/reset",
    summary="Drop what was changed of a camera",
    responses={**_TAGGED, 204: {"description": "The config file does not name it: it is gone."}},
    response_model=CameraAnswer,
)
async def reset_camera(
    here: Here, caller: Caller, by: By, camera: CameraName, response: Response, if_match: IfMatch = None
) -> CameraAnswer | Response:
    """It runs as the config file says; one that was taken away comes back, one that was added goes."""
    async with here.desired() as store:
        after = await store.reset(camera, _expecting(caller, camera, if_match, require_resettable), by)
    if camera not in after.config.cameras:
        return Response(status_code=204)
    return await _answer(here, after, camera, response)


def _expecting(caller: Principal, camera: str, if_match: str | None, require: Require = require_running) -> Expect:
    """Looks inside the change's own transaction: the camera may have moved since the gate looked."""

    def look(desired: DesiredState) -> None:
        require(desired, caller, camera)
        if not is_expected(if_match, desired.tag(CameraId(camera))):
            raise DesiredConflict(f"camera {camera!r} was changed since: look at it again, and give the ETag of that")

    return look


async def _answer(here: Services, desired: DesiredState, camera: str, response: Response) -> CameraAnswer:
    name = CameraId(camera)
    async with here.state() as states:
        report = await states.read([camera])
    response.headers["ETag"] = quoted(desired.tag(name))
    return answer_of(desired, report, name)
