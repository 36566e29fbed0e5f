"""The page of the system itself."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.frame import page_frame
from pipeline.dashboard.gate import ASSETS
from pipeline.dashboard.services import Services
from pipeline.dashboard.system.page import SystemView
from pipeline.dashboard.system.reading import LOOK_S, SystemReader
from pipeline.dashboard.system.texts import SYSTEM
from pipeline.dashboard.texts import add_texts

add_texts(SYSTEM)


def register(services: Services) -> None:
    """Its pages."""
    reader = SystemReader(services)

    @ui.page("/system")
    def _system() -> None:
        ui.add_head_html(f'<link rel="stylesheet" href="{ASSETS}alarms.css">')
        with page_frame("system.title") as page:
            view = SystemView(page, reader)
            page.every(LOOK_S, view.look)
