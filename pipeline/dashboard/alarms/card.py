"""One alarm that holds."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from nicegui import ui

from pipeline.alarms.store import Alarm
from pipeline.dashboard.durations import lasted, moment
from pipeline.dashboard.signs import SignBadge, sign_of
from pipeline.dashboard.texts import t


def what(alarm: Alarm) -> str:
    """In words."""
    return t(f"alarms.kind.{alarm.key.kind}")


def where(alarm: Alarm) -> str:
    """Line, and camera or chart."""
    return f"{alarm.key.line} / {alarm.key.subject}" if alarm.key.subject else alarm.key.line


def acknowledged(alarm: Alarm, zone: ZoneInfo) -> str:
    """By whom, when, why; "" where nobody did."""
    if alarm.acknowledged_by is None or alarm.acknowledged_ms is None:
        return ""
    values = {"by": alarm.acknowledged_by, "at": moment(alarm.acknowledged_ms, zone), "note": alarm.note}
    return t("alarms.acknowledged_note" if alarm.note else "alarms.acknowledged", **values)


class AlarmCard(ui.element):
    """Its sign, what it is about, how long; and a button for who may acknowledge it."""

    def __init__(self, alarm: Alarm, zone: ZoneInfo, on_acknowledge: Callable[[Alarm], None] | None) -> None:
        super().__init__("article")
        self._alarm, self._zone = alarm, zone
        said = acknowledged(alarm, zone)
        css = sign_of(alarm.severity).css
        self.classes(f"panel alarm alarm-{css} {'alarm-known' if said else ''}").props(f"data-alarm={alarm.id}")
        with self:
            with ui.element("div").classes("alarm-head"):
                SignBadge(alarm.severity, large=True)
                with ui.element("h3"):
                    ui.label(what(alarm))
                ui.label(where(alarm)).classes("alarm-where")
            ui.label(alarm.detail).classes("alarm-detail")
            self._since = ui.label().classes("alarm-soft")
            if said:
                ui.label(f"✓ {said}").classes("alarm-soft")
            elif on_acknowledge is not None:
                spoken = t("alarms.acknowledge_what", what=f"{what(alarm)}, {where(alarm)}")
                button = ui.button(t("alarms.acknowledge"), on_click=lambda: on_acknowledge(alarm))
                button.props(f'outline no-caps aria-label="{spoken}"').classes("alarm-button")

    def tick(self, now: float) -> None:
        """How long it has held at `now`, Unix seconds."""
        raised_ms = self._alarm.raised_ms
        duration = lasted(now - raised_ms / 1e3)
        self._since.set_text(t("alarms.since", duration=duration, at=moment(raised_ms, self._zone)))
