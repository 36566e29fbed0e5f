"""The newest pictures of all cameras a page shows, in one answer: a browser has six connections, and a wall nine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from pipeline.control.live.pictures import FIRST_WITHIN_S, first_picture, picture_headers
from pipeline.control.problems import ApiError
from pipeline.dashboard.cameras.held import LINGER_S
from pipeline.dashboard.states import EXPECTED, words_of
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.control.live.feed import Feed
    from pipeline.dashboard.cameras.held import Held
    from pipeline.dashboard.cameras.roll import CameraNow, Roster
    from pipeline.sinks.preview_reader import Preview

MOST_ASKED = 64  # as in assets/live.js, which takes turns where it shows more
_NOT_KEPT = {"Cache-Control": "no-store"}


class Pictures:
    """Answers the pages' scripts; who asks is known by the gate, and sees the cameras of their lines alone."""

    def __init__(self, held: Held, roster: Roster) -> None:
        self._held = held
        self._roster = roster

    async def newest(self, request: Request) -> Response:
        """`?CAMERA=TAG&...`: of each camera its newest picture, where that is not the one of this tag.

        Four bytes that tell how long the JSON behind them is, the JSON, and one picture behind the other. Asking is
        watching: whoever asks no more watches no more.
        """
        asked = list(request.query_params.items())[:MOST_ASKED]
        try:
            roll = await self._roster.call()
        except EXPECTED as exc:
            return _words(503, words_of(exc))
        told: list[dict[str, Any]] = []
        jpegs: list[bytes] = []
        for name, known in asked:
            camera = roll.one(request.state.visitor.principal, name)
            picture = None if camera is None else _of_now(self._feed_of(camera))
            if picture is not None and (tag := _tag(picture)) != known:
                told.append({"camera": name, "tag": tag, "bytes": len(picture.jpeg)})
                jpegs.append(picture.jpeg)
        head = orjson.dumps(told)
        body = b"".join((len(head).to_bytes(4, "big"), head, *jpegs))
        return Response(body, media_type="application/octet-stream", headers=_NOT_KEPT)

    async def one(self, request: Request) -> Response:
        """The camera's picture of now, as JPEG; waits some seconds for the first. 503 tells that there is none."""
        name = request.path_params["camera"]
        try:
            camera = (await self._roster.call()).one(request.state.visitor.principal, name)
        except EXPECTED as exc:
            return _words(503, words_of(exc))
        if camera is None:
            return _words(404, t("cameras.gone", camera=name))
        picture = await self.first(camera)
        if picture is None:
            return _words(503, f"{t('cameras.no_picture')}: {camera.view.state}")
        headers = {**picture_headers(picture, camera.view.state), **_NOT_KEPT}
        return Response(picture.jpeg, media_type="image/jpeg", headers=headers)

    async def first(self, camera: CameraNow) -> Preview | None:
        """Its picture of now; None where none comes within some seconds."""
        line, name = camera.view.line, camera.view.name
        feed = await self._held.opened(line, name, FIRST_WITHIN_S + LINGER_S)
        if feed is None:
            return None
        try:
            return await first_picture(feed, name)
        except ApiError:  # says what the page says of the camera beside its picture
            return None

    def _feed_of(self, camera: CameraNow) -> Feed | None:
        return self._held.feed(camera.view.line, camera.view.name)


def _of_now(feed: Feed | None) -> Preview | None:
    return feed.picture if feed is not None and feed.is_live else None


def _tag(picture: Preview) -> str:
    return f"{picture.seq}-{picture.captured_at:.3f}"


def _words(status: int, text: str) -> Response:
    return Response(f"{text}\n", status, media_type="text/plain", headers=_NOT_KEPT)
