"""The control chart's panel: which chart, its picture and words, and the limits that an engineer may freeze."""

from __future__ import annotations

import time
from collections.abc import Callable

from nicegui import ui

from pipeline.control.access.roles import Role
from pipeline.dashboard.frame import Page
from pipeline.dashboard.line.chart_panel import ChartPanel
from pipeline.dashboard.line.control_options import control_options
from pipeline.dashboard.line.control_words import frozen_words, labels, phase_names, violation_lines
from pipeline.dashboard.line.figures_text import NONE
from pipeline.dashboard.line.looked_at import LookedAt
from pipeline.dashboard.line.reading import LineReader
from pipeline.dashboard.pickers import keep_in_address
from pipeline.dashboard.texts import t
from pipeline.history.charts import LineChart, freeze_chart
from pipeline.history.frozen import let_go
from pipeline.history.spc import ChartKind


class ControlPanel(ui.element):
    """The chart of one line, of the range and kind that are chosen."""

    def __init__(self, page: Page, reader: LineReader, looked_at: LookedAt) -> None:
        super().__init__("div")
        self._page, self._reader, self._looked_at = page, reader, looked_at
        self._zone = page.services.plant.zone
        self._shown: LineChart | None = None
        with self:
            self._panel = ChartPanel("control", t("line.spc.title"), "line.spc.empty")
            with self._panel.head:
                self._kinds = _KindButtons(looked_at.kind, page.does(Role.VIEWER, self._choose))
                if page.may(Role.ENGINEER):
                    self._freeze = _button("line.spc.freeze", page.does(Role.ENGINEER, self._freeze_limits))
                    self._let_go = _button("line.spc.let_go", page.does(Role.ENGINEER, self._let_limits_go))
            with self._panel:
                self._help = ui.label().classes("chart-help")
                self._frozen = ui.label().classes("chart-frozen")
                self._lines = _Lines()

    async def refresh(self) -> None:
        """The chart as it is now. Raises HistoryUnavailable."""
        asked = self._looked_at.line, self._looked_at.range_text, self._looked_at.kind
        shown = await self._reader.chart(*asked)
        if asked != (self._looked_at.line, self._looked_at.range_text, self._looked_at.kind):
            return  # another was chosen meanwhile, and shows itself
        if shown is not self._shown:
            self._show(shown)
            self._shown = shown

    def _show(self, shown: LineChart) -> None:
        kind = shown.chart.kind
        times = labels(shown, self._zone)
        is_empty = not any(point.value is not None for point in shown.chart.points)
        self._panel.show(control_options(shown.chart, times, phase_names(shown)), is_empty=is_empty)
        self._help.set_text(t(f"line.spc.help.{kind}", sigma_z=_width(shown)))
        self._help.set_visibility(not is_empty)
        self._show_frozen(shown, is_empty=is_empty)
        self._lines.show([] if is_empty else violation_lines(shown, self._zone))

    def _show_frozen(self, shown: LineChart, *, is_empty: bool) -> None:
        frozen = shown.frozen
        self._frozen.set_visibility(frozen is not None)
        self._frozen.set_text(frozen_words(shown, self._zone))
        if self._page.may(Role.ENGINEER):
            self._freeze.set_visibility(frozen is None and not is_empty)
            self._let_go.set_visibility(frozen is not None)

    async def _choose(self, kind: ChartKind) -> None:
        self._looked_at.kind = kind
        self._kinds.press(kind)
        keep_in_address(chart=kind.value)
        await self.refresh()

    async def _freeze_limits(self) -> None:
        shown = self._shown
        if shown is None:
            return
        by, at_ms = self._page.principal.name, _now_ms()
        await self._page.services.change(lambda connection: freeze_chart(connection, shown, by=by, at_ms=at_ms))
        await self._changed("line.spc.frozen.done")

    async def _let_limits_go(self) -> None:
        by, at_ms, line, kind = self._page.principal.name, _now_ms(), self._looked_at.line, self._looked_at.kind
        await self._page.services.change(lambda connection: let_go(connection, line, kind, by=by, at_ms=at_ms))
        await self._changed("line.spc.frozen.gone")

    async def _changed(self, text: str) -> None:
        self._reader.changed(self._looked_at.line)
        await self.refresh()
        ui.notify(t(text), type="positive")


class _KindButtons(ui.element):
    """One of the three charts."""

    def __init__(self, chosen: ChartKind, choose: Callable[[ChartKind], object]) -> None:
        super().__init__("div")
        self.classes("choices").props(f'role=group aria-label="{t("line.spc.kind")}"')
        with self:
            self._buttons = {kind: self._button(kind, choose) for kind in ChartKind}
        self.press(chosen)

    def press(self, chosen: ChartKind) -> None:
        """This one is shown."""
        for kind, button in self._buttons.items():
            button.props(f"aria-pressed={'true' if kind is chosen else 'false'}")

    def _button(self, kind: ChartKind, choose: Callable[[ChartKind], object]) -> ui.element:
        with ui.element("button").props("type=button").classes("head-button choice") as button:
            ui.label(t(f"line.spc.kind.{kind}"))
        return button.on("click", lambda: choose(kind))


class _Lines(ui.element):
    """Lines of text, changed in place."""

    def __init__(self) -> None:
        super().__init__("ul")
        self.classes("chart-lines").props("aria-live=polite")
        self._shown: list[str] = []

    def show(self, lines: list[str]) -> None:
        """These lines."""
        if lines == self._shown:
            return
        self._shown = lines
        self.clear()
        with self:
            for line in lines:
                with ui.element("li"):
                    ui.label(line)


def _button(text: str, work: Callable[..., object]) -> ui.element:
    with ui.element("button").props("type=button").classes("head-button") as button:
        ui.label(t(text))
    button.set_visibility(False)
    return button.on("click", work)


def _width(shown: LineChart) -> str:
    return f"{shown.chart.phases[-1].sigma_z:.2f}" if shown.chart.phases else NONE


def _now_ms() -> int:
    return round(time.time() * 1e3)
