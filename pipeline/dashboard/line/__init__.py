"""The lines' pages."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.frame import page_frame
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import empty


def register(services: Services) -> None:
    """Its pages."""

    @ui.page("/lines")
    def _lines() -> None:
        with page_frame("lines.title"):
            empty("lines.empty")
