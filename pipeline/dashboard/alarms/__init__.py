"""The page of alarms."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.alarms.page import LOOK_S, AlarmsView
from pipeline.dashboard.alarms.texts import ALARMS
from pipeline.dashboard.frame import page_frame
from pipeline.dashboard.gate import ASSETS
from pipeline.dashboard.services import Services
from pipeline.dashboard.texts import add_texts

add_texts(ALARMS)


def register(services: Services) -> None:
    """Its pages."""

    @ui.page("/alarms")
    def _alarms() -> None:
        ui.add_head_html(f'<link rel="stylesheet" href="{ASSETS}alarms.css">')
        with page_frame("alarms.title") as page:
            view = AlarmsView(page)
            page.every(LOOK_S, view.look)
