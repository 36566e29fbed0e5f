"""Live pictures through a WebSocket: before each a text message that tells which it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.control.live.endless import MOST_UNDER_WAY, STALLED_S, first_of
from pipeline.control.live.flow import Flow
from pipeline.control.problems import ApiError, busy, refusal_of
from pipeline.masking import mask
from pipeline.orchestrate.desired_store import DesiredError
from pipeline.sinks.errors import SinkUnavailable
from stages.results.messages import rfc3339

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from pipeline.control.live.feed import Feed
    from pipeline.control.live.watching import Watching
    from pipeline.sinks.preview_reader import Preview

BEAT_EVERY_S = 5.0
FINE, AGAIN_LATER = 1000, 1013

Told = tuple[dict[str, Any], bytes | None]  # a text message, and the picture behind it


async def told(watching: Watching, line: str, camera: str, fps: float) -> AsyncGenerator[Told, None]:
    """Pictures as they come, at most `fps`, and a word of the camera's state at least every BEAT_EVERY_S.

    Raises ApiError where all places are taken, and where there will be no more pictures.
    """
    async with watching.watch(line, camera) as feed:
        number, state, said_at = 0, "", -float("inf")
        while feed.over is None:
            began_at = time.monotonic()
            # Before the first picture the state is looked at more often: it is all there is to show.
            is_new = await feed.newer(number, BEAT_EVERY_S if number else 1.0)
            if is_new and feed.picture is not None:
                number, state, said_at = feed.number, feed.state, began_at
                yield _picture(feed.picture, feed), feed.picture.jpeg
                await asyncio.sleep(max(0.0, began_at + 1 / fps - time.monotonic()))
            elif feed.state != state or time.monotonic() - said_at >= BEAT_EVERY_S:
                state, said_at = feed.state, time.monotonic()
                yield _state(feed), None
    raise busy(feed.over)


def _picture(picture: Preview, feed: Feed) -> dict[str, Any]:
    return {
        "type": "picture",
        "captured_at": rfc3339(picture.captured_at),
        "seq": picture.seq,
        "width": picture.width,
        "height": picture.height,
        "size": len(picture.jpeg),
        "state": feed.state,
    }


def _state(feed: Feed) -> dict[str, Any]:
    return {"type": "state", "state": feed.state, "error": None if feed.report is None else feed.report.last_error}


async def converse(
    parts: AsyncGenerator[Told, None],
    longest_s: float,
    subprotocol: str | None,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Accept, and send what there is until it ends, the client leaves or stops taking anything, or time is up."""
    flow = Flow(scope, receive, send, MOST_UNDER_WAY)
    await flow.listen()  # websocket.connect
    await flow.send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
    async with aclosing(parts):
        await first_of(_speak(parts, longest_s, flow, scope), flow.until_gone())


async def _speak(parts: AsyncGenerator[Told, None], longest_s: float, flow: Flow, scope: Scope) -> None:
    try:
        code, reason = await _speak_on(parts, longest_s, flow)
    except OSError:  # as in EndlessResponse
        return
    except (ApiError, DesiredError, SinkUnavailable) as exc:
        code, reason = AGAIN_LATER, mask(str(refusal_of(exc, scope)))
    # A page's script is shown neither status nor body of a refused WebSocket: so it is let in and told.
    async with asyncio.timeout(STALLED_S):
        await flow.send({"type": "websocket.send", "text": _text({"type": "end", "reason": reason})})
        await flow.send({"type": "websocket.close", "code": code, "reason": reason[:100]})


async def _speak_on(parts: AsyncGenerator[Told, None], longest_s: float, flow: Flow) -> tuple[int, str]:
    end_at = time.monotonic() + longest_s
    async for text, picture in parts:
        async with asyncio.timeout(STALLED_S):
            await flow.send({"type": "websocket.send", "text": _text(text)})
            if picture is not None:
                await flow.send({"type": "websocket.send", "bytes": picture})
        if time.monotonic() >= end_at:
            return FINE, "it has gone on for long enough: come again"
    return FINE, "there will be no more pictures here: come again"


def _text(data: dict[str, Any]) -> str:
    return orjson.dumps(data).decode()
