"""The alarms: those that hold, and those that are over."""

from __future__ import annotations

import time

from nicegui import ui

from pipeline.alarms import store
from pipeline.alarms.store import Alarm
from pipeline.control.access.roles import Role
from pipeline.dashboard.alarm_badge import unacknowledged_key
from pipeline.dashboard.alarms.acknowledging import Acknowledging
from pipeline.dashboard.alarms.card import AlarmCard, acknowledged, what, where
from pipeline.dashboard.durations import lasted, moment
from pipeline.dashboard.frame import Page
from pipeline.dashboard.states import NoHistory, empty, loading
from pipeline.dashboard.tables import Signed, Table
from pipeline.dashboard.texts import t

LOOK_S = 2.0
FRESH_S = 1.5  # less than a page waits: no page is given the same twice
PAGE = 50
MOST = 1000  # rows of the past on one page
COLUMNS = tuple(
    f"alarms.column.{name}" for name in ("severity", "what", "where", "detail", "raised", "lasted", "acknowledged")
)


class AlarmsView:
    """Made once, changed in place."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._zone = page.services.plant.zone
        self._holding: list[Alarm] | None = None
        self._past: tuple[int, list[Alarm]] | None = None  # as shown, and how many could be
        self._limit = PAGE
        self._cards: list[AlarmCard] = []
        with ui.element("div").classes("bar"):
            with ui.element("h1"):
                ui.label(t("alarms.title"))
            self._count = ui.label().classes("alarm-soft")
        with ui.element("section").props("data-part=now").classes("alarm-now") as self._now:
            loading()
        with ui.element("section").classes("panel").props("data-part=before") as self._before:
            self._table = Table("alarms.before", COLUMNS)
            self._none = empty("alarms.none_before")
            more = page.does(Role.VIEWER, self._show_more)
            self._older = ui.button(t("alarms.older"), on_click=more).props("outline no-caps")
        self._before.set_visibility(False)
        self._acknowledging = Acknowledging(page, self._look_anew) if page.may(Role.OPERATOR) else None

    async def look(self) -> None:
        """Show what there is now. Raises HistoryUnavailable."""
        services, lines, limit = self._page.services, self._page.principal.limited_to, self._limit
        if not services.keeps_history:
            self._now.clear()
            raise NoHistory
        holding, past = await services.shared(
            _key(lines, limit),
            FRESH_S,
            lambda: services.query(
                lambda connection: (store.holding(connection, lines), store.past(connection, lines, limit=limit + 1))
            ),
        )
        if holding != self._holding:
            self._holding = holding
            self._show_holding(holding)
        for card in self._cards:
            card.tick(time.time())
        if limit == self._limit and (limit, past) != self._past:
            self._show_past(past)
            self._past = limit, past

    async def _look_anew(self) -> None:
        """Somebody has changed what there is."""
        lines = self._page.principal.limited_to
        self._page.services.forget(_key(lines, self._limit), unacknowledged_key(lines))
        await self.look()

    async def _show_more(self) -> None:
        self._limit = min(MOST, self._limit + PAGE)
        await self.look()

    def _show_holding(self, holding: list[Alarm]) -> None:
        still_open = sum(not alarm.is_acknowledged for alarm in holding)
        self._count.set_text(t("alarms.count", count=len(holding), open=still_open) if holding else "")
        self._now.clear()
        with self._now:
            ask = self._acknowledging.ask if self._acknowledging is not None else None
            self._cards = [AlarmCard(alarm, self._zone, ask) for alarm in holding]
            if not holding:
                empty("alarms.none_now")

    def _show_past(self, past: list[Alarm]) -> None:
        shown = past[: self._limit]
        self._before.set_visibility(True)
        self._none.set_visibility(not shown)
        self._table.set_visibility(bool(shown))
        self._older.set_visibility(len(past) > self._limit and self._limit < MOST)
        self._table.show({str(alarm.id): self._row(alarm) for alarm in shown})

    def _row(self, alarm: Alarm) -> tuple[Signed | str, ...]:
        cleared_ms = alarm.raised_ms if alarm.cleared_ms is None else alarm.cleared_ms
        return (
            Signed(alarm.severity),
            what(alarm),
            where(alarm),
            alarm.detail,
            moment(alarm.raised_ms, self._zone),
            lasted((cleared_ms - alarm.raised_ms) / 1e3),
            acknowledged(alarm, self._zone) or t("alarms.nobody"),
        )


def _key(lines: frozenset[str] | None, limit: int) -> str:
    return f"alarms page {limit} {lines and sorted(lines)}"
