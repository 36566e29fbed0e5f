"""One figure on the page: its name, its value in large, and what must be read with it."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.line.figures_text import NONE

_SHORT = 8  # signs that fit at full size


class Figure(ui.element):
    """A figure that can show another value. `kind` names it to style sheets and tests."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__("div")
        self.classes("figure").props(f"data-figure={kind}")
        with self:
            ui.label(name).classes("figure-name")
            self._value = ui.label(NONE).classes("figure-value")
            self._beside = ui.label().classes("figure-beside")

    def show(self, value: str, beside: str = "", *, warns: bool = False) -> None:
        """`beside` qualifies the value; with `warns` it stands out."""
        self._value.set_text(value)
        is_long = len(value) > _SHORT
        self.classes(add="figure-long" if is_long else "", remove="" if is_long else "figure-long")
        self._beside.set_text(beside)
        self._beside.classes(add="figure-warns" if warns else "", remove="" if warns else "figure-warns")
