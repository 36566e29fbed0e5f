"""A chart with its title, drawn anew in place when what it shows has changed."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.line.chart_style import Options
from pipeline.dashboard.states import empty


class ChartPanel(ui.element):
    """A titled chart; where there is nothing to chart, words that say so."""

    def __init__(self, kind: str, title: str, empty_key: str) -> None:
        super().__init__("section")
        self.classes("panel chart-panel").props(f"data-chart={kind}")
        with self:
            with ui.element("div").classes("bar chart-head") as self.head, ui.element("h2"):
                ui.label(title)
            self._place = ui.element("div").classes("chart-place")
            self._empty = empty(empty_key)
        self._chart: ui.echart | None = None  # made with the first thing to show: one of no size complains
        self._shown: Options = {}
        self._place.set_visibility(False)

    def show(self, options: Options, *, is_empty: bool) -> None:
        """This chart, or that there is none. Nothing is sent to the browser where nothing has changed."""
        self._place.set_visibility(not is_empty)
        self._empty.set_visibility(is_empty)
        if is_empty or options == self._shown:
            return
        self._shown = options
        if self._chart is None:
            with self._place:
                self._chart = ui.echart(options, renderer="svg").classes("chart")
            return
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.update()
