"""A table that is changed in place; on a phone each row becomes a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nicegui import ui

from pipeline.dashboard.signs import SignBadge
from pipeline.dashboard.texts import t


class Signed(NamedTuple):
    """A cell with a sign."""

    sign: str
    word: str | None = None


Cell = str | Signed


class Table(ui.element):
    """Columns by the keys of their headings; rows come and go by their names, and only what differs is sent."""

    def __init__(self, caption_key: str, columns: Sequence[str], *, numbers: Sequence[str] = ()) -> None:
        """`numbers`: the columns that stand to the right."""
        super().__init__("table")
        self.classes("table")
        self._columns, self._numbers = tuple(columns), frozenset(numbers)
        self._rows: dict[str, _Row] = {}
        with self:
            with ui.element("caption").classes("table-caption"):
                ui.label(t(caption_key))
            with ui.element("thead"), ui.element("tr"):
                for column in self._columns:
                    with ui.element("th").props("scope=col").classes(self._css(column)):
                        ui.label(t(column))
            self._body = ui.element("tbody")

    def show(self, rows: Mapping[str, Sequence[Cell]]) -> None:
        """These rows, in this order."""
        if [*self._rows] != [*rows]:
            self._body.clear()
            with self._body:
                self._rows = {name: self._row(cells) for name, cells in rows.items()}
        for name, cells in rows.items():
            self._rows[name].show(cells)

    def _row(self, cells: Sequence[Cell]) -> _Row:
        with ui.element("tr"):
            return _Row([self._cell(column, cell) for column, cell in zip(self._columns, cells, strict=True)])

    def _cell(self, column: str, cell: Cell) -> ui.label | SignBadge:
        with ui.element("td").classes(self._css(column)).props(f'data-label="{t(column)}"'):
            return SignBadge(cell.sign) if isinstance(cell, Signed) else ui.label()

    def _css(self, column: str) -> str:
        return "table-number" if column in self._numbers else ""


class _Row:
    def __init__(self, elements: Sequence[ui.label | SignBadge]) -> None:
        self._elements = elements
        self._shown: list[Cell | None] = [None] * len(elements)

    def show(self, cells: Sequence[Cell]) -> None:
        for index, (element, cell) in enumerate(zip(self._elements, cells, strict=True)):
            if self._shown[index] == cell:
                continue
            self._shown[index] = cell
            if isinstance(element, SignBadge):
                assert isinstance(cell, Signed)  # noqa: S101 - a column is of one kind
                element.show(*cell)
            else:
                element.set_text(str(cell))
