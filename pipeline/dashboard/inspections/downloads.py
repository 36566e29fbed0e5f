"""What the present filter finds, to be taken along: as a table, or as a data set of what people reviewed."""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
import time
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pipeline.control.live.endless import EndlessResponse
from pipeline.control.live.places import Places
from pipeline.control.problems import ApiError
from pipeline.dashboard.inspections.addresses import download_address
from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.states import NotNow
from pipeline.dashboard.texts import t
from pipeline.history.export import as_csv, as_parquet, written
from pipeline.history.labelled import CannotExport, write_labelled
from pipeline.history.snapshots import PartPictures

if TYPE_CHECKING:
    from pipeline.dashboard.services import Services
    from pipeline.history.export import Maker
    from pipeline.history.gallery import PartFilter

logger = logging.getLogger(__name__)

KINDS = ("csv", "parquet", "labelled")
MOST_ROWS = 200_000  # of a table
MOST_PICTURES = 2000  # of a data set: some hundred MB on disk while it is sent
LONGEST_S = 1800.0  # that one is sent
_AT_ONCE = 2  # tables; each keeps a thread and the database busy
_CHUNK_BYTES = 256 * 1024
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "labelled": "application/zip",
}
_NAMES = {"csv": "inspections.csv", "parquet": "inspections.parquet", "labelled": "labelled.zip"}
_MAKERS: dict[str, Maker] = {"csv": as_csv, "parquet": as_parquet}


def downloads(query: GalleryQuery) -> None:
    """The links."""
    with ui.element("nav").classes("bar part-downloads").props(f'aria-label="{t("inspections.download")}"'):
        ui.label(t("inspections.download")).classes("part-soft")
        for kind in KINDS:
            link = ui.element("a").props("download")
            link.props["href"] = download_address(kind, query)
            if kind == "labelled":
                link.props["title"] = t("inspections.download.labelled.help", count=MOST_PICTURES)
            with link:
                ui.label(t(f"inspections.download.{kind}"))


class Downloads:
    """The route behind the links; few at once, so that the pages of others stay quick."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pictures = PartPictures(services.config.snapshots)
        self.tables = Places(_AT_ONCE, "tables")
        self.data_sets = Places(1, "data sets")

    async def answer(self, request: Request, kind: str) -> Response:
        """`/downloads/{kind}?FILTER`: of the lines that are theirs.

        The answer raises NotNow or HistoryUnavailable before its first byte. One that takes too long, or whose history
        goes away meanwhile, is cut off without its end, which browsers notice.
        """
        if kind not in KINDS:
            return Response(f"{t('missing.page')}\n", 404)
        query = GalleryQuery.of(request.query_params)
        lines = request.state.visitor.principal.limited_to
        wanted = query.wanted(lines, self._services.plant, int(time.time() * 1000))
        parts = self._data_set(wanted) if kind == "labelled" else self._table(wanted, kind)
        response = EndlessResponse(parts, _TYPES[kind], math.inf)
        response.headers["Content-Disposition"] = f'attachment; filename="{_NAMES[kind]}"'
        return response

    async def _table(self, wanted: PartFilter, kind: str) -> AsyncGenerator[bytes, None]:
        def pieces() -> Iterator[bytes]:
            yield from written(_MAKERS[kind], self._services.database(), wanted, MOST_ROWS)

        with _place(self.tables):
            async with aclosing(_in_time(iterate_in_threadpool(pieces()))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _data_set(self, wanted: PartFilter) -> AsyncGenerator[bytes, None]:
        """Its place is taken until the file is sent and gone."""
        with _place(self.data_sets), _told_failures():
            folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="rayline-labelled-")
            try:
                path = await asyncio.to_thread(self._zipped, wanted, Path(folder.name))
                async with aclosing(_in_time(iterate_in_threadpool(_chunks(path)))) as chunks:
                    async for chunk in chunks:
                        yield chunk
            finally:
                await asyncio.to_thread(folder.cleanup)

    def _zipped(self, wanted: PartFilter, folder: Path) -> Path:
        """A data set in one file; JPEGs do not get smaller by being packed."""
        path, made = folder / "labelled.zip", folder / "labelled"
        write_labelled(self._services.database(), wanted, self._pictures, made, MOST_PICTURES)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
            for file in sorted(made.rglob("*")):
                if file.is_file():
                    packed.write(file, file.relative_to(made))
                    file.unlink()
        return path


@contextmanager
def _place(places: Places) -> Iterator[None]:
    """Raises NotNow where none is free."""
    with ExitStack() as held:
        try:
            held.enter_context(places.take())
        except ApiError:
            raise NotNow(t("inspections.download.busy")) from None
        yield


@contextmanager
def _told_failures() -> Iterator[None]:
    """A full disk and the like: told without our folders' names, which the log has."""
    try:
        yield
    except (CannotExport, OSError) as exc:
        logger.warning("a data set was not made: %s", exc)
        raise NotNow(t("inspections.download.failed")) from None


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    end_at = time.monotonic() + LONGEST_S
    async for chunk in chunks:
        if time.monotonic() > end_at:
            raise NotNow(t("inspections.download.too_long"))
        yield chunk


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
