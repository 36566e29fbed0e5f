"""The last rejected parts, each with its picture and the way to everything that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from zoneinfo import ZoneInfo

from nicegui import ui

from pipeline.dashboard.inspections.addresses import part_address, picture_address
from pipeline.dashboard.line.figures_text import clock, moment
from pipeline.dashboard.states import empty
from pipeline.dashboard.texts import t
from pipeline.history.gallery import PartRow


class RejectsPanel(ui.element):
    """A strip of parts, the newest first."""

    def __init__(self, line: str, zone: ZoneInfo) -> None:
        super().__init__("section")
        self.classes("panel rejects-panel").props("data-panel=rejects")
        self._zone = zone
        self._shown: list[str] = []
        with self:
            with ui.element("div").classes("bar"):
                with ui.element("h2"):
                    ui.label(t("line.rejects.title"))
                _link(f"/inspections?line={quote(line, safe='')}", t("line.rejects.all"))
            self._strip = ui.element("div").classes("rejects")
            self._empty = empty("line.rejects.none")

    def show(self, parts: Sequence[PartRow]) -> None:
        """These parts; those that are shown already keep their picture."""
        ids = [part.id for part in parts]
        self._empty.set_visibility(not parts)
        self._strip.set_visibility(bool(parts))
        if ids == self._shown:
            return
        self._shown = ids
        self._strip.clear()
        with self._strip:
            for part in parts:
                _part(part, self._zone)


def _part(part: PartRow, zone: ZoneInfo) -> None:
    defects = ", ".join(dict.fromkeys(found.label for found in part.message.defects)) or t("sign.reject")
    at = moment(part.captured_ms, zone)
    with ui.element("a").classes("reject") as link:
        link.props["href"] = part_address(part.id)
        if part.has_snapshot:
            alt = t("line.rejects.alt", at=at, defects=defects)
            picture = ui.element("img").classes("reject-picture").props("loading=lazy decoding=async")
            picture.props["src"], picture.props["alt"] = picture_address(part.id, small=True), alt
        else:
            with ui.element("div").classes("reject-picture reject-none"):
                ui.label(t("line.rejects.no_picture"))
        with ui.element("div").classes("reject-words"):
            ui.label(f"{clock(part.captured_ms, zone)} {defects}")


def _link(address: str, text: str) -> None:
    with ui.element("a").props(f'href="{address}"'):
        ui.label(text)
