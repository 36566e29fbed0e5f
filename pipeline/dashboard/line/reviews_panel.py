"""How often the verdicts were wrong, as far as people looked: each rate with its interval."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.line.figure import Figure
from pipeline.dashboard.line.figures_text import count, percent
from pipeline.dashboard.texts import t
from pipeline.history.intervals import Rate
from pipeline.history.reviews import ReviewRates


class ReviewsPanel(ui.element):
    """False rejects and escapes."""

    def __init__(self) -> None:
        super().__init__("section")
        self.classes("panel").props("data-panel=reviews")
        with self:
            with ui.element("h2"):
                ui.label(t("line.reviews.title"))
            with ui.element("div").classes("figures figures-small"):
                self._false_reject = Figure("false-reject", t("line.reviews.false_reject"))
                self._escape = Figure("escape", t("line.reviews.escape"))

    def show(self, rates: ReviewRates) -> None:
        """The rates as they are now."""
        self._false_reject.show(percent(rates.false_reject.share), _words(rates.false_reject, "rejects"))
        self._escape.show(percent(rates.escape.share), _words(rates.escape, "passes"))


def _words(rate: Rate, of: str) -> str:
    if rate.low is None or rate.high is None:
        return t("line.reviews.none")
    interval = t("line.reviews.interval", low=percent(rate.low), high=percent(rate.high))
    return f"{interval}; {t(f'line.reviews.of_{of}', count=count(rate.count), n=count(rate.n))}"
