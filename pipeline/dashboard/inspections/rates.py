"""How often verdicts were wrong, as far as people looked: false rejects and escapes, each with its interval."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.texts import t
from pipeline.history.reviews import ReviewRates, rates

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pipeline.dashboard.frame import Page
    from pipeline.dashboard.services import Services
    from pipeline.history.intervals import Rate

MOST_LINES = 4  # more crowd the parts out; the filter leads to any
LOOKS_EVERY_S = 3.0
_FRESH_S = 1.0  # asked once in so long for all who look at the same
_AHEAD_MS = 24 * 3_600_000  # some cameras' clocks are
EVER = GalleryQuery()


class RatesStrip:
    """The rates of some lines, in the query's times."""

    def __init__(self, page: Page, lines: Sequence[str], query: GalleryQuery = EVER, *, compact: bool = False) -> None:
        self._page = page
        self._query = query
        self._shown: dict[str, tuple[_Figure, _Figure]] = {}
        if len(lines) > MOST_LINES:
            ui.label(t("inspections.rates.choose")).classes("part-soft")
            return
        with ui.element("section").classes("rates rates-compact" if compact else "rates"):
            for line in lines:
                with ui.element("div").classes("panel rates-line"):
                    ui.label(t("inspections.rates", line=line)).classes("rates-name")
                    self._shown[line] = _Figure("false_reject"), _Figure("escape")

    async def look(self) -> None:
        """Bring them up to date. Raises HistoryUnavailable."""
        if self._shown:
            self.show(await find_rates(self._page.services, list(self._shown), self._query))

    def show(self, found: Mapping[str, ReviewRates]) -> None:
        """Of each line."""
        for line, (false_reject, escape) in self._shown.items():
            false_reject.show(found[line].false_reject)
            escape.show(found[line].escape)


async def find_rates(services: Services, lines: Sequence[str], query: GalleryQuery = EVER) -> dict[str, ReviewRates]:
    """Of parts captured in the query's times, a second old at most. Raises HistoryUnavailable."""
    return {line: await _rates_of(services, line, query) for line in lines}


def reviewed(services: Services, line: str) -> None:
    """Somebody reviewed a part of the line just now: who asks next for its rates of all times gets them anew."""
    services.forget(_key(line, EVER))


async def _rates_of(services: Services, line: str, query: GalleryQuery) -> ReviewRates:
    def ask(connection: Connection) -> ReviewRates:
        now_ms = int(time.time() * 1000)
        since_ms, until_ms = query.times(services.plant, now_ms)
        return rates(connection, line, since_ms or 0, now_ms + _AHEAD_MS if until_ms is None else until_ms)

    return await services.shared(_key(line, query), _FRESH_S, lambda: services.query(ask))


def _key(line: str, query: GalleryQuery) -> str:
    return f"inspections.rates {(line, query.range, query.since, query.until)}"


class _Figure:
    """One rate: in figures, and as a bar from 0 to 1 with the interval on it."""

    def __init__(self, key: str) -> None:
        self._key = key
        with ui.element("div").classes("rate").props(f"data-rate={key}"):
            ui.label(t(f"inspections.{key}")).classes("rate-name")
            self._share = ui.label().classes("rate-share")
            with ui.element("div").classes("rate-bar").props("aria-hidden=true"):
                self._interval = ui.element("div").classes("rate-interval")
                self._mark = ui.element("div").classes("rate-mark")
            self._of = ui.label().classes("rate-of")

    def show(self, rate: Rate) -> None:
        known = rate.share is not None and rate.low is not None and rate.high is not None
        self._interval.set_visibility(known)
        self._mark.set_visibility(known)
        if rate.share is None or rate.low is None or rate.high is None:
            self._share.set_text("–")  # noqa: RUF001 - read by people
            self._of.set_text(t("inspections.rate.none"))
            return
        self._share.set_text(percent(rate.share))
        interval = t("inspections.rate.interval", low=percent(rate.low), high=percent(rate.high))
        self._of.set_text(f"{interval} · {t(f'inspections.{self._key}.of', count=rate.count, n=rate.n)}")
        self._interval.style(f"left:{rate.low * 100:.2f}%;width:{(rate.high - rate.low) * 100:.2f}%")
        self._mark.style(f"left:{rate.share * 100:.2f}%")


def percent(share: float) -> str:
    """With so many places that small shares are not 0."""
    places = 1 if share >= 0.01 or share == 0 else 2
    return f"{share * 100:.{places}f} %"
