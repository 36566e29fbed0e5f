"""The page of the system itself."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.frame import page_frame
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import empty


def register(services: Services) -> None:
    """Its pages."""

    @ui.page("/system")
    def _system() -> None:
        with page_frame("system.title"):
            empty("system.empty")
