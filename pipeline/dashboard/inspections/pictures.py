"""Parts' pictures for whoever may see their lines: as stored, or small with the boxes drawn in."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from pipeline.dashboard.inspections.stored_picture import PictureRefused, size_of, thumbnail
from pipeline.dashboard.inspections.thumbnails import Thumbnails
from pipeline.dashboard.texts import t
from pipeline.history.gallery import PartRow, part
from pipeline.history.snapshots import NoPicture, PartPictures, PicturesUnavailable, PictureThreads, within

if TYPE_CHECKING:
    from pipeline.dashboard.inspections.geometry import SizeWh
    from pipeline.dashboard.services import Services

NOT_SHOWN = (NoPicture, PicturesUnavailable, PictureRefused)
# Asked again each time, so that who may no longer see it does not; the answer is then only that it has not changed.
_HEADERS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
_PLACEHOLDER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 270" width="480" height="270">
<rect width="480" height="270" fill="#52606d"/>
<text x="240" y="142" font-family="sans-serif" font-size="20" fill="#fff" text-anchor="middle">{words}</text>
</svg>
"""


class Pictures:
    """Reads and shrinks them on threads of its own, so that slow storage holds up nobody but who waits for it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stored = PartPictures(services.config.snapshots)
        self._small = Thumbnails()
        self._threads = PictureThreads()

    async def answer(self, request: Request, inspection_id: str) -> Response:
        """`/pictures/{id}`: 404 for a part that is none, is not theirs, or has no picture.

        A small one that cannot be shown is answered as a picture that says so: it stands among others.
        """
        lines = request.state.visitor.principal.limited_to
        found = await self._services.query(lambda connection: part(connection, inspection_id, lines))
        if found is None or found.message.snapshot is None:
            return Response(f"{t('inspections.part.missing')}\n", 404)
        is_small = "small" in request.query_params
        tag = f'"{found.message.snapshot.sha256}{"-small" if is_small else ""}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={**_HEADERS, "ETag": tag})
        try:
            data = await (self.small(found) if is_small else self.whole(found))
        except NOT_SHOWN as exc:
            return _placeholder(exc) if is_small else Response(f"{words_of(exc)}\n", 404)
        return Response(data, media_type="image/jpeg", headers={**_HEADERS, "ETag": tag})

    async def small(self, found: PartRow) -> bytes:
        """A small JPEG with the boxes. Raises one of NOT_SHOWN."""
        return await within(self._small.get(found.id, partial(self._shrink, found)))

    async def whole(self, found: PartRow) -> bytes:
        """The JPEG as stored, if it may be shown. Raises one of NOT_SHOWN."""
        return await self._threads.call(partial(self._checked, found))

    async def size(self, found: PartRow) -> SizeWh:
        """Its width and height. Raises one of NOT_SHOWN."""
        return size_of(await self.whole(found))

    def close(self) -> None:
        """Waits for nothing."""
        self._small.close()
        self._threads.close()

    def _shrink(self, found: PartRow) -> bytes:
        return thumbnail(self._read(found), found.message)

    def _checked(self, found: PartRow) -> bytes:
        data = self._read(found)
        size_of(data)
        return data

    def _read(self, found: PartRow) -> bytes:
        return self._stored.read(found.message)


def words_of(exc: Exception) -> str:
    """Why there is no picture to be seen, for people."""
    match exc:
        case NoPicture() | PictureRefused():
            return t("inspections.picture_failed", why=str(exc))
    return t("inspections.picture_slow")


def _placeholder(exc: Exception) -> Response:
    drawn = _PLACEHOLDER.format(words=escape(words_of(exc)[:60]))
    return Response(drawn, media_type="image/svg+xml", headers={**_HEADERS, "Cache-Control": "no-store"})
