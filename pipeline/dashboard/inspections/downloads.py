"""What the present filter finds, to be taken along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.inspections.addresses import download_address
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.inspections.query import GalleryQuery

KINDS = ("csv", "parquet", "labelled")


def downloads(query: GalleryQuery) -> None:
    """The links."""
    with ui.element("nav").classes("bar part-downloads").props(f'aria-label="{t("inspections.download")}"'):
        ui.label(t("inspections.download")).classes("part-soft")
        for kind in KINDS:
            link = ui.element("a").props("download")
            link.props["href"] = download_address(kind, query)
            with link:
                ui.label(t(f"inspections.download.{kind}"))
