"""The filter: a plain form whose fields become the page's address, so that it can be shared and gone back from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.inspections.query import RANGES, REVIEWED, VERDICTS, GalleryQuery
from pipeline.dashboard.signs import sign_of
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.history.choices import Choices
    from pipeline.history.plant import PlantSettings

_SEND = "(event) => event.target.form.requestSubmit()"
_LEAVE_EMPTY_OUT = "(event) => { for (const field of event.target.elements) if (!field.value) field.disabled = true; }"

_SELDOM = ("model", "recipe", "external_id", "since", "until")

Option = tuple[str, str]  # value, words


def filter_form(query: GalleryQuery, lines: Sequence[str], choices: Choices, plant: PlantSettings) -> None:
    """The fields as the address has them; a choice is sent at once, what is written with the button or Enter."""
    form = ui.element("form").classes("panel part-filter").props("method=get action=/inspections id=filter")
    form.on("submit", js_handler=_LEAVE_EMPTY_OUT)
    with form:
        with ui.element("div").classes("part-fields"):
            _first(query, lines, choices, plant)
        with ui.element("details").classes("part-more") as more:
            if any(getattr(query, name) for name in _SELDOM):
                more.props("open")
            with ui.element("summary"):
                ui.label(t("inspections.more_filters"))
            with ui.element("div").classes("part-fields"):
                _seldom(query, choices)
            ui.label(t("inspections.zone", zone=plant.time_zone)).classes("part-soft")
        if query.is_filtered:
            with ui.element("a").props("href=/inspections").classes("part-clear"):
                ui.label(t("inspections.clear"))


def _first(query: GalleryQuery, lines: Sequence[str], choices: Choices, plant: PlantSettings) -> None:
    _select("line", query.line, _plain(lines))
    _select("verdict", query.verdict, [(name, _verdict(name)) for name in VERDICTS])
    _select("label", query.label, _plain(choices.labels))
    _select("reviewed", query.reviewed, [(name, t(f"inspections.reviewed.{name}")) for name in REVIEWED])
    _select("range", query.range, [(name, t(f"inspections.range.{name}")) for name in _ranges(plant)])


def _seldom(query: GalleryQuery, choices: Choices) -> None:
    _select("model", query.model, _plain(choices.models))
    _select("recipe", query.recipe, _plain(choices.recipes))
    _field("external_id", query.external_id, "search")
    _field("since", query.since, "datetime-local")
    _field("until", query.until, "datetime-local")
    with ui.element("button").props("type=submit").classes("head-button"):
        ui.label(t("inspections.filter"))


def _ranges(plant: PlantSettings) -> tuple[str, ...]:
    return ("shift", "day", *RANGES) if plant.shifts else ("day", *RANGES)


def _verdict(name: str) -> str:
    sign = sign_of(name)
    return f"{sign.symbol} {sign.word}"


def _plain(names: Iterable[str]) -> list[Option]:
    return [(name, name) for name in names]


def _select(name: str, value: str, options: Sequence[Option]) -> None:
    """One of the options, the one of the address even where nobody offers it."""
    if value and value not in {option for option, _ in options}:
        options = [*options, (value, value)]
    with _labelled(name):
        select = ui.element("select").props(f"name={name}")
        select.on("change", js_handler=_SEND)
        with select:
            for option, words in (("", t("inspections.any")), *options):
                made = ui.element("option")
                made.props["value"] = option
                made.props["label"] = words
                if option == value:
                    made.props["selected"] = True


def _field(name: str, value: str, kind: str) -> None:
    with _labelled(name):
        field = ui.element("input").props(f"name={name} type={kind} autocomplete=off")
        field.props["value"] = value
        field.props["maxlength"] = 300


def _labelled(name: str) -> ui.element:
    label = ui.element("label").classes("part-field")
    with label:
        ui.label(t(f"inspections.{name}")).classes("part-field-name")
    return label
