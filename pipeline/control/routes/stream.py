"""The topics as server-sent events."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from starlette.requests import HTTPConnection

from pipeline.control.access.roles import EVERY_LINE, Principal
from pipeline.control.live.bookmark import place_of
from pipeline.control.live.endless import EndlessResponse
from pipeline.control.live.events import Wanted, events
from pipeline.control.live.places import Places
from pipeline.control.problems import ApiError
from pipeline.control.services import Caller, Here
from pipeline.orchestrate.desired import DesiredState
from pipeline.sinks.keys import is_key_name, stream_pattern

EVENT_STREAM = "text/event-stream"

router = APIRouter(tags=["streams"])

_EVENTS: dict[int | str, dict[str, Any]] = {200: {"description": "Server-sent events.", "content": {EVENT_STREAM: {}}}}


class Topic(StrEnum):
    """What can be listened to."""

    DETECTIONS = "detections"
    EVENTS = "events"
    INSPECTIONS = "inspections"


def listeners_of(connection: HTTPConnection) -> Places:
    """Of the app that answers this."""
    found: Places = connection.app.state.listeners
    return found


Line = Annotated[str | None, Query(max_length=63, description="Only this line's.")]
Camera = Annotated[str | None, Query(max_length=63, description="Only this camera's.")]
After = Annotated[
    str,
    Query(description="Where to begin: `$` with what comes from now on, `0` with all that is kept, or behind an id."),
]
LastEventId = Annotated[
    str | None,
    Header(description="The last id that came: all behind it is sent. Wins over `after`; EventSource sets it."),
]


@router.get("/v1/stream/{topic}", summary="Messages as they are published", response_class=Response, responses=_EVENTS)
async def stream(
    topic: Topic,
    here: Here,
    caller: Caller,
    listeners: Annotated[Places, Depends(listeners_of)],
    line: Line = None,
    camera: Camera = None,
    after: After = "$",
    last_event_id: LastEventId = None,
) -> Response:
    """Server-sent events `detection`, `event`, `inspection` or `uninspected`, with the message as published for data.

    Each message comes at least once, in the order of its stream; `lost` tells of messages that were trimmed unread.
    A comment comes every 10 s. Ends after `api.stream_max_s`: come again with the last id, and nothing is missing.
    """
    place = place_of(last_event_id or after, topic)
    async with here.desired() as desired:
        wanted = wanted_of(topic, line, camera, await desired.read(), caller)
    parts = events(listeners, here.redis.settings, wanted, place)
    return EndlessResponse(parts, EVENT_STREAM, here.settings.stream_max_s)


def wanted_of(topic: Topic, line: str | None, camera: str | None, state: DesiredState, caller: Principal) -> Wanted:
    """The streams asked for, which are all on lines of the caller's. Raises ApiError 404 where they are not."""
    if camera is not None:
        its_line = state.line_of(camera)
        if its_line is None or not caller.may_see(its_line) or line not in (None, its_line):
            raise ApiError(404, f"there is no camera {camera!r}{'' if line is None else f' on line {line!r}'}")
        line = its_line
    if line is not None and (line not in lines_of(state) or not caller.may_see(line)):
        raise ApiError(404, f"there is no line {line!r}")
    if line is not None and (camera is not None or topic is Topic.INSPECTIONS):
        only = stream_pattern(topic, line, camera or "")
        return Wanted(topic, [only], only, camera if topic is Topic.INSPECTIONS else None)
    return Wanted(topic, [stream_pattern(topic, each) for each in _seen(line, caller)])


def lines_of(state: DesiredState) -> set[str]:
    """All lines there are, and those of cameras that were removed: what they said is still there."""
    return {*state.config.line_ids(), *state.file.line_ids()}


def _seen(line: str | None, caller: Principal) -> Iterable[str]:
    if line is not None:
        return [line]
    if EVERY_LINE in caller.lines:
        return ["*"]
    return sorted(each for each in caller.lines if is_key_name(each))  # a name, and so no pattern
