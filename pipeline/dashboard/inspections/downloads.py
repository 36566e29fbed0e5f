"""What the present filter finds, to be taken along: as a table, or as a data set of what people reviewed."""

from __future__ import annotations

import asyncio
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from pipeline.dashboard.inspections.addresses import download_address
from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.texts import t
from pipeline.history.export import as_csv, as_parquet, batches
from pipeline.history.labelled import write_labelled
from pipeline.history.snapshots import PartPictures

if TYPE_CHECKING:
    from pipeline.dashboard.services import Services
    from pipeline.history.database import Database
    from pipeline.history.gallery import PartFilter, PartRow

KINDS = ("csv", "parquet", "labelled")
MOST_ROWS = 200_000  # of a table
MOST_PICTURES = 2000  # of a data set: some hundred MB on disk while it is sent
_AT_ONCE = 2  # tables; each keeps a thread and the database busy
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_MAKERS: dict[str, Callable[[Iterator[Sequence[PartRow]]], Iterator[bytes]]] = {"csv": as_csv, "parquet": as_parquet}


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
        self._tables = asyncio.Semaphore(_AT_ONCE)
        self._data_set = asyncio.Semaphore(1)

    async def answer(self, request: Request, kind: str) -> Response:
        """`/downloads/{kind}?FILTER`: of the lines that are theirs."""
        if kind not in KINDS:
            return Response(f"{t('missing.page')}\n", 404)
        database = self._services.database()
        turn = self._data_set if kind == "labelled" else self._tables
        if turn.locked():
            return Response(f"{t('inspections.download.busy')}\n", 503, {"Retry-After": "10"})
        query = GalleryQuery.of(request.query_params)
        lines = request.state.visitor.principal.limited_to
        wanted = query.wanted(lines, self._services.plant, int(time.time() * 1000))
        if kind == "labelled":
            return await self._labelled(database, wanted, turn)
        return self._table(database, wanted, kind, turn)

    def _table(self, database: Database, wanted: PartFilter, kind: str, turn: asyncio.Semaphore) -> Response:
        made = _MAKERS[kind](batches(database, wanted, MOST_ROWS))

        async def in_turn() -> AsyncIterator[bytes]:
            async with turn:
                async for chunk in iterate_in_threadpool(made):
                    yield chunk

        return StreamingResponse(in_turn(), media_type=_TYPES[kind], headers=_attached(f"inspections.{kind}"))

    async def _labelled(self, database: Database, wanted: PartFilter, turn: asyncio.Semaphore) -> Response:
        async with turn:
            folder = tempfile.TemporaryDirectory(prefix="rayline-labelled-")
            try:
                path = await asyncio.to_thread(_zipped, database, wanted, self._pictures, Path(folder.name))
            except BaseException:
                await asyncio.to_thread(folder.cleanup)
                raise
        headers = _attached("labelled.zip")
        return FileResponse(
            path, headers=headers, media_type="application/zip", background=BackgroundTask(folder.cleanup)
        )


def _zipped(database: Database, wanted: PartFilter, pictures: PartPictures, folder: Path) -> Path:
    """A data set in one file; JPEGs do not get smaller by being packed."""
    path, made = folder / "labelled.zip", folder / "labelled"
    write_labelled(database, wanted, pictures, made, MOST_PICTURES)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for file in sorted(made.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(made))
                file.unlink()
    return path


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
