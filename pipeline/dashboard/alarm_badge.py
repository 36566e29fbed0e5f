"""In the header of every page: how many alarms hold that nobody has acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.alarms.store import unacknowledged
from pipeline.dashboard.texts import t
from pipeline.history.database import HistoryUnavailable

if TYPE_CHECKING:
    from pipeline.dashboard.frame import Page

LOOK_S = 3.0
_FEW = 99


class AlarmBadge(ui.label):
    """Not there while the number is 0, or not known."""

    def __init__(self) -> None:
        super().__init__()
        self.classes("alarm-badge").props("role=status")
        self.set_visibility(False)

    async def look(self, page: Page) -> None:
        """Show how many there are now. A history that is away is told by the pages that show it, not by every one."""
        services, lines = page.services, page.principal.limited_to
        if not services.keeps_history:
            return
        try:
            count = await services.shared(
                unacknowledged_key(lines), LOOK_S, lambda: services.query(lambda c: unacknowledged(c, lines))
            )
        except HistoryUnavailable:
            count = 0
        self.set_visibility(count > 0)
        self.set_text(str(count) if count <= _FEW else f"{_FEW}+")
        self.props(f'aria-label="{t("alarms.badge", count=count)}"')


def unacknowledged_key(lines: frozenset[str] | None) -> str:
    """Under which the number is shared: whoever changes it has it asked anew."""
    return f"alarms unacknowledged {lines and sorted(lines)}"
