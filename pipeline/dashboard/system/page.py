"""The page of the system itself."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from pipeline.dashboard.frame import Page
from pipeline.dashboard.states import empty
from pipeline.dashboard.system import rows
from pipeline.dashboard.system.glance import Glance
from pipeline.dashboard.system.reading import Seen, SystemReader
from pipeline.dashboard.tables import Table
from pipeline.dashboard.texts import t


class TablePanel(ui.element):
    """A table, or why there is nothing in it."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        super().__init__("section")
        self.classes("panel").props(f"data-part={name}")
        with self:
            numbers = rows.columns(column for column in columns if column in rows.NUMBERS)
            self._table = Table(f"system.{name}", rows.columns(columns), numbers=numbers)
            self._note = ui.label().classes("alarm-soft")
            self._none = empty(f"system.{name}.none")

    def show(self, found: rows.Rows, note: str = "") -> None:
        """These rows."""
        self._table.show(found)
        self._note.set_text(note)
        self._note.set_visibility(bool(note))
        self._none.set_visibility(not found)


class SystemView:
    """Made once, changed in place."""

    def __init__(self, page: Page, reader: SystemReader) -> None:
        self._page, self._reader = page, reader
        services = page.services
        with ui.element("h1"):
            ui.label(t("system.title"))
        address = services.redis.settings.address
        self._glance = Glance(address, services.history_address, services.plant.zone)
        self._stages = TablePanel("stages", rows.STAGES)
        self._road = TablePanel("road", rows.ROAD)
        self._readers = TablePanel("readers", rows.READERS)
        self._relays = TablePanel("relays", rows.RELAYS)
        with ui.element("div").classes("grid grid-wide"):
            with ui.element("section").classes("panel").props("data-part=versions"):
                self._versions = Table("system.versions", rows.columns(rows.VERSIONS))
            with ui.element("section").classes("panel").props("data-part=models"):
                self._models = Table("system.models", rows.columns(rows.MODELS))
        with ui.element("section").classes("panel").props("data-part=problems") as self._problems:
            self._problem_table = Table("system.problems", rows.columns(("name", "error")))
        self._problems.set_visibility(False)

    async def look(self) -> None:
        """Show what there is now. Raises what kept some of it from being read, once the rest is shown."""
        seen = await self._reader.read()
        self._show(seen)
        for problem in seen.problems:
            raise problem

    def _show(self, seen: Seen) -> None:
        who = self._page.principal
        theirs = () if seen.desired is None else seen.desired.cameras.items()
        self._glance.show(seen, frozenset(name for name, camera in theirs if who.may_see(camera.line)))
        self._stages.show(rows.stages(seen))
        self._road.show(rows.road(seen), _road_note(seen))
        self._readers.show(rows.readers(seen, who))
        self._relays.show(rows.relays(seen))
        self._versions.show(rows.versions(seen))
        self._models.show(rows.models(seen))
        problems = rows.problems(seen, who)
        self._problem_table.show(problems)
        self._problems.set_visibility(bool(problems))


def _road_note(seen: Seen) -> str:
    if seen.road is None:
        return ""
    total = seen.road.total
    return t("system.road.note", count=total.count, p50=f"{total.p50_ms:.0f}", p95=f"{total.p95_ms:.0f}")
