"""What a camera sees now: one picture, or pictures as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.utils import formatdate
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute

from pipeline.control.access.subprotocol import chosen_subprotocol
from pipeline.control.live.endless import EndlessResponse
from pipeline.control.live.pictures import BOUNDARY, first_picture, multipart, picture_headers
from pipeline.control.live.socket import Told, converse, told
from pipeline.control.live.watching import Watching
from pipeline.control.problems import ApiError
from pipeline.control.services import Here, Services
from stages.values import CameraId

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LEAST_FPS, DEFAULT_FPS, MOST_FPS = 1.0, 5.0, 15.0

router = APIRouter(tags=["live"])

_JPEG: dict[int | str, dict[str, Any]] = {200: {"description": "The picture.", "content": {"image/jpeg": {}}}}
_MULTIPART: dict[int | str, dict[str, Any]] = {
    200: {"description": "Pictures.", "content": {"multipart/x-mixed-replace": {}}}
}
Fps = Annotated[
    float, Query(ge=LEAST_FPS, le=MOST_FPS, description="Pictures a second at most; `previews.fps` caps it too.")
]


def watching_of(connection: HTTPConnection) -> Watching:
    """Of the app that answers this."""
    found: Watching = connection.app.state.watching
    return found


Pictures = Annotated[Watching, Depends(watching_of)]


@router.get(
    "/v1/cameras/{camera}/snapshot", summary="The camera's newest picture", response_class=Response, responses=_JPEG
)
async def snapshot(camera: str, here: Here, watching: Pictures) -> Response:
    """A JPEG with what was found drawn on it. Waits up to 3 s for one; 503 tells why there is none."""
    line = await line_shown(here, camera)
    async with watching.watch(line, camera) as feed:
        picture = await first_picture(feed, camera)
        headers = picture_headers(picture, feed.state)
    headers["Last-Modified"] = formatdate(picture.captured_at, usegmt=True)
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


@router.get(
    "/v1/cameras/{camera}/live",
    summary="The camera's pictures as they come (MJPEG)",
    response_class=Response,
    responses=_MULTIPART,
)
async def live(camera: str, here: Here, watching: Pictures, fps: Fps = DEFAULT_FPS) -> Response:
    """`multipart/x-mixed-replace`, as an `img` shows it. Begins with a picture, or with 503 and why there is none.

    While the camera gives none the last is sent again every 5 s. Who is slow gets fewer. Ends after `api.stream_max_s`.
    """
    line = await line_shown(here, camera)
    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    return EndlessResponse(multipart(watching, line, camera, fps), media_type, here.settings.stream_max_s)


async def line_shown(here: Services, camera: str) -> str:
    """The line of a camera that can be watched. Raises ApiError: 404 where it was removed, 409 where nobody can."""
    async with here.desired() as desired:
        state = await desired.read()
    if CameraId(camera) not in state.config.cameras:
        raise ApiError(404, f"there is no camera {camera!r}")
    if state.config.previews is None:
        raise ApiError(409, "there are no live pictures: the configuration says `previews: null`")
    return state.config.cameras[camera].line or camera


class LiveSocket:
    """The same as /live, through a WebSocket; below FastAPI, for `Flow` has to see every message."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        here: Services = scope["app"].state.services
        subprotocol = chosen_subprotocol(HTTPConnection(scope))
        await converse(_told(scope, here), here.settings.stream_max_s, subprotocol, scope, receive, send)


async def _told(scope: Scope, here: Services) -> AsyncGenerator[Told, None]:
    camera: str = scope["path_params"]["camera"]
    fps = _fps(scope)
    line = await line_shown(here, camera)
    async with aclosing(told(scope["app"].state.watching, line, camera, fps)) as parts:
        async for part in parts:
            yield part


def _fps(scope: Scope) -> float:
    given = QueryParams(scope["query_string"]).get("fps", str(DEFAULT_FPS))
    try:
        fps = float(given)
    except ValueError:
        fps = 0.0
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise ApiError(422, f"fps: {given[:20]!r} is no number from {LEAST_FPS:g} to {MOST_FPS:g}")
    return fps


router.routes.append(WebSocketRoute("/v1/cameras/{camera}/live", LiveSocket()))
