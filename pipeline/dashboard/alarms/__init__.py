"""The page of alarms."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.frame import page_frame
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import empty


def register(services: Services) -> None:
    """Its pages."""

    @ui.page("/alarms")
    def _alarms() -> None:
        with page_frame("alarms.title"):
            empty("alarms.empty")
