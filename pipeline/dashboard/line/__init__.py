"""The lines' pages: how they do at a glance, and one of them in figures and charts."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.line.overview import overview
from pipeline.dashboard.line.page import line_page
from pipeline.dashboard.line.reading import LineReader
from pipeline.dashboard.line.texts import LINE
from pipeline.dashboard.services import Services
from pipeline.dashboard.texts import add_texts

add_texts(LINE)


def register(services: Services) -> None:
    """Its pages."""
    reader = LineReader(services)

    @ui.page("/lines")
    def _lines() -> None:
        overview(reader)

    @ui.page("/lines/{line}")
    def _line(line: str) -> None:
        line_page(reader, line)
