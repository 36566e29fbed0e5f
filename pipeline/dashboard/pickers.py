"""What is chosen on several pages: a range of time by the plant's clock, and a line; kept in the page's address."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request

from pipeline.dashboard.states import words_of
from pipeline.dashboard.texts import t
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import RangeError, parse_range

HOUR, LAST_HOUR, DAY, CUSTOM = "hour", "last:60m", "day", "custom"
_LONGEST = 200
_FORM = "%Y-%m-%dT%H:%M"
_SHORTEST_TIME, _LONGEST_TIME = 16, 32  # 2025-03-30T06:00 and 2025-03-30T06:00:00.000000+13:00

Chosen = Callable[[str], Awaitable[None]]


class RangePicker(ui.element):
    """Shift, day, hour, or from one time to another; `value` is as `pipeline.history.ranges` reads it."""

    def __init__(self, plant: PlantSettings, value: str, on_change: Chosen) -> None:
        """`on_change` is called with the new value; wrap it in `Page.does`."""
        super().__init__("div")
        self.classes("bar picker").props(f'role=group aria-label="{t("range.label")}"')
        self.value = value
        self._plant = plant
        self._on_change = on_change
        with self:
            self._select = ui.select(
                _choices(plant), value=_choice_of(value, plant), label=t("range.label"), on_change=self._choose
            ).props("outlined options-dense behavior=menu")
            with ui.element("div").classes("bar") as self._custom:
                since, until = _times_of(value)
                self._since = ui.input(t("range.since"), value=since).props("type=datetime-local outlined dense")
                self._until = ui.input(t("range.until"), value=until).props("type=datetime-local outlined dense")
                ui.button(t("range.apply"), on_click=self._apply).props("outline no-caps")
            ui.label(t("range.zone", zone=plant.time_zone)).classes("picker-note")
        self._custom.set_visibility(self._select.value == CUSTOM)

    async def _choose(self) -> None:
        self._custom.set_visibility(self._select.value == CUSTOM)
        if self._select.value != CUSTOM:
            await self._take(str(self._select.value))

    async def _apply(self) -> None:
        since, until = str(self._since.value or ""), str(self._until.value or "")
        if not (_is_time(since) and _is_time(until) and since < until):
            ui.notify(t("range.wrong"), type="warning")
            return
        value = f"{CUSTOM}:{since}/{until}"
        try:
            parse_range(value, self._plant, round(time.time() * 1e3))
        except RangeError as exc:
            ui.notify(words_of(exc), type="warning")
            return
        await self._take(value)

    async def _take(self, value: str) -> None:
        self.value = value
        keep_in_address(range=value)
        await self._on_change(value)


class LinePicker(ui.select):
    """One of the lines, or, where `all_lines`, all of them, whose value is the empty text."""

    def __init__(self, lines: Sequence[str], value: str, on_change: Chosen, *, all_lines: bool = False) -> None:
        choices = ({"": t("line.all")} if all_lines else {}) | {line: line for line in lines}
        chosen = value if value in choices else next(iter(choices), None)
        super().__init__(choices, value=chosen, label=t("line.label"), on_change=self._choose)
        self.props("outlined options-dense behavior=menu").classes("picker")
        self._taken = on_change

    async def _choose(self) -> None:
        value = str(self.value or "")
        keep_in_address(line=value)
        await self._taken(value)


def asked(request: Request, name: str, default: str) -> str:
    """What the page's address says of it; the default where it says nothing that could be meant."""
    value = request.query_params.get(name, default)
    return value if len(value) <= _LONGEST and value.isprintable() else default


def keep_in_address(**choices: str) -> None:
    """So that loading the page again, or sending its address, shows the same. The empty text takes one out."""
    told = urlencode({name: value for name, value in choices.items() if value})
    gone = ",".join(f'"{name}"' for name, value in choices.items() if not value)
    ui.run_javascript(f"rayline.keep({told!r}, [{gone}])")


def _choices(plant: PlantSettings) -> dict[str, str]:
    shifts = {f"shift:{one.name}": f"{t('range.shift')}: {one.name}" for one in plant.shifts}
    now = {"shift": t("range.shift")} if plant.shifts else {}
    last = {HOUR: t("range.hour"), LAST_HOUR: t("range.last_hour")}
    return now | last | {DAY: t("range.day")} | shifts | {CUSTOM: t("range.custom")}


def _choice_of(value: str, plant: PlantSettings) -> str:
    if value.startswith(f"{CUSTOM}:"):
        return CUSTOM
    return value if value in _choices(plant) else DAY


def _times_of(value: str) -> tuple[str, str]:
    since, _, until = value.removeprefix(f"{CUSTOM}:").partition("/")
    return (since, until) if _is_time(since) and _is_time(until) else ("", "")


def _is_time(text: str) -> bool:
    try:
        datetime.strptime(text[:_SHORTEST_TIME], _FORM)
    except ValueError:
        return False
    return _SHORTEST_TIME <= len(text) <= _LONGEST_TIME
