"""What a page shows where there is nothing to show: nothing yet, still loading, or what it asks does not answer."""

from __future__ import annotations

from nicegui import ui

from pipeline.config_errors import ConfigError
from pipeline.control.problems import ApiError
from pipeline.dashboard.texts import t
from pipeline.history.charts import NothingToFreeze
from pipeline.history.database import HistoryUnavailable
from pipeline.history.ranges import RangeError
from pipeline.masking import mask
from pipeline.orchestrate.desired_errors import DesiredError, NothingDesired
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from stages.errors import RaylineError


class NoHistory(HistoryUnavailable):
    """The config file asks for none."""

    def __init__(self) -> None:
        super().__init__(t("state.no_history"))


class NotNow(RaylineError):
    """It may be there when it is asked for again; the text is for people."""


EXPECTED = (
    SinkUnavailable,
    SinkRefused,
    HistoryUnavailable,
    DesiredError,
    ApiError,
    ConfigError,
    RangeError,
    NothingToFreeze,
)


def empty(message_key: str = "state.empty") -> ui.element:
    """Nothing yet, and in words what would change that."""
    return _state("empty", "○", t(message_key))


def loading() -> ui.element:
    """It was asked for."""
    return _state("loading", "◌", t("state.loading")).props("aria-busy=true")


def failed(exc: BaseException) -> ui.element:
    """What was asked does not answer, or refused: told as it is, without our insides."""
    if isinstance(exc, NoHistory):  # as configured: nobody needs to do anything
        return _state("empty", "○", words_of(exc))
    return _state("failed", "⚠", words_of(exc)).props("role=alert")


def words_of(exc: BaseException) -> str:
    """What people are told of an error; of one that nobody foresaw only that it is in the log."""
    match exc:
        case NoHistory():
            return t("state.no_history")
        case HistoryUnavailable():
            return t("state.history_away")
        case NothingDesired():
            return t("state.nothing_runs")
        case SinkUnavailable() | SinkRefused():
            return t("state.redis_away")
        case DesiredError() | ApiError() | ConfigError() | RangeError() | NothingToFreeze():
            return t("state.refused", why=mask(str(exc)))
    return t("state.failed")


def _state(kind: str, symbol: str, words: str) -> ui.element:
    with ui.element("div").classes(f"state state-{kind}") as box:
        ui.label(symbol).classes("state-symbol").props("aria-hidden=true")
        ui.label(words).classes("state-words")
    return box
