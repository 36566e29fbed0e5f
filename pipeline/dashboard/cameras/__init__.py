"""The cameras' pages: the wall, one camera, and drawing on its picture."""

from __future__ import annotations

from nicegui import app, ui
from starlette.requests import Request

from pipeline.dashboard.cameras.changes import MAY
from pipeline.dashboard.cameras.detail import Detail
from pipeline.dashboard.cameras.draw import DrawPage
from pipeline.dashboard.cameras.held import Held
from pipeline.dashboard.cameras.picture import HEAD
from pipeline.dashboard.cameras.pictures import Pictures
from pipeline.dashboard.cameras.roll import CameraNow, Roll, Roster
from pipeline.dashboard.cameras.texts import TEXTS
from pipeline.dashboard.cameras.wall import Wall
from pipeline.dashboard.frame import PageRefused, page_frame
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import EXPECTED, words_of
from pipeline.dashboard.texts import add_texts, t

add_texts(TEXTS)


def register(services: Services) -> None:
    """Its pages, and the pictures that they show."""
    roster = Roster(services)
    held = Held(services.config.redis_settings())
    pictures = Pictures(held, roster)
    app.on_shutdown(held.close)
    app.add_route("/live", pictures.newest)
    app.add_route("/live/{camera}", pictures.one)

    @ui.page("/cameras")
    def _cameras() -> None:
        ui.add_head_html(HEAD)
        with page_frame("cameras.title") as page:
            Wall(page, roster)

    @ui.page("/cameras/{camera}")
    async def _camera(request: Request, camera: str) -> None:
        roll, found = await _found(roster, request, camera)
        ui.add_head_html(HEAD)
        with page_frame("cameras.camera_title", line=found.view.line) as page:
            Detail(page, roster, roll, found)

    @ui.page("/cameras/{camera}/draw")
    async def _draw(request: Request, camera: str) -> None:
        roster.forget()  # saved only where nobody changed what is seen here: it may not be a second old already
        _, found = await _found(roster, request, camera)
        ui.add_head_html(HEAD)
        with page_frame("cameras.draw_title", needs=MAY["draw"], line=found.view.line) as page:
            DrawPage(page, roster, pictures, found)


async def _found(roster: Roster, request: Request, name: str) -> tuple[Roll, CameraNow]:
    """The camera, where it is one of theirs. Raises PageRefused."""
    try:
        roll = await roster.call()
    except EXPECTED as exc:
        raise PageRefused(503, t("missing.title"), words_of(exc)) from None
    found = roll.one(request.state.visitor.principal, name)
    if found is None:
        raise PageRefused(404, t("missing.title"), t("cameras.gone", camera=name[:63]))
    return roll, found
