"""The dialog in which somebody says that they know of an alarm, and leaves a note."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from nicegui import ui

from pipeline.alarms.store import LONGEST_NOTE, Alarm, NotAcknowledged, acknowledge
from pipeline.control.access.roles import Role
from pipeline.dashboard.alarms.card import what, where
from pipeline.dashboard.frame import Page
from pipeline.dashboard.texts import t


class Acknowledging:
    """One dialog a page, for whichever alarm was chosen."""

    def __init__(self, page: Page, then: Callable[[], Awaitable[None]]) -> None:
        self._page, self._then = page, then
        self._alarm: Alarm | None = None
        with ui.dialog() as self._dialog, ui.element("div").classes("panel alarm-dialog"):
            with ui.element("h2"):
                self._title = ui.label()
            self._detail = ui.label().classes("alarm-detail")
            self._note = ui.textarea(t("alarms.note")).props(f"outlined autofocus maxlength={LONGEST_NOTE}")
            with ui.element("div").classes("bar"):
                done = page.does(Role.OPERATOR, self._acknowledge)
                ui.button(t("alarms.acknowledge"), on_click=done).props("unelevated no-caps")
                ui.button(t("alarms.cancel"), on_click=self._dialog.close).props("outline no-caps")

    def ask(self, alarm: Alarm) -> None:
        """Open it for this one."""
        self._alarm = alarm
        self._title.set_text(f"{what(alarm)}: {where(alarm)}")
        self._detail.set_text(alarm.detail)
        self._note.set_value("")
        self._dialog.open()

    async def _acknowledge(self) -> None:
        alarm, who = self._alarm, self._page.principal
        if alarm is None:
            return
        note, lines, now_ms = str(self._note.value or ""), who.limited_to, round(time.time() * 1e3)
        try:
            await self._page.services.change(
                lambda connection: acknowledge(connection, alarm.id, who.name, note, now_ms, lines)
            )
        except NotAcknowledged as exc:  # somebody was first: what they said is on the page
            ui.notify(str(exc), type="warning")
        else:
            ui.notify(t("alarms.done"), type="positive")
        self._dialog.close()
        await self._then()
