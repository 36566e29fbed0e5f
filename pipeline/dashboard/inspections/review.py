"""What people say of a part: agree, or overrule with the reason and the defects it truly has."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.control.access.roles import Role
from pipeline.dashboard.durations import moment
from pipeline.dashboard.signs import SignBadge, sign_of
from pipeline.dashboard.texts import t
from pipeline.history.reviews import (
    LONGEST_LABEL,
    LONGEST_REASON,
    Review,
    ReviewRefused,
    Said,
    overrules,
    review,
    reviews_of,
)
from stages.values import Verdict

if TYPE_CHECKING:
    from pipeline.dashboard.frame import Page
    from pipeline.history.gallery import PartRow

Saved = Callable[[], Awaitable[None]]


class ReviewPanel:
    """The buttons for who may, and everything said so far, the newest first."""

    def __init__(self, page: Page, part: PartRow, labels: Sequence[str], saved: Saved) -> None:
        self._page = page
        self._part = part
        self._saved = saved
        self._shown: tuple[int, ...] | None = None
        with ui.element("section").classes("panel review").props("id=review"):
            _heading("inspections.review")
            if page.may(Role.OPERATOR):
                self._ask(labels)
            else:
                ui.label(t("inspections.review.viewer")).classes("part-soft")
            self._earlier = ui.element("div").classes("review-earlier")
        self.show(part.reviews)

    @property
    def can_agree(self) -> bool:
        """Of an indeterminate part nobody said anything that one could agree with."""
        return self._part.verdict is not Verdict.INDETERMINATE

    async def agree(self) -> None:
        """It truly is what the line said."""
        if not self.can_agree:
            self.open_form()
            return
        await self._say(Said(self._part.verdict.value))

    def open_form(self) -> None:
        """The form for saying otherwise."""
        if self._page.may(Role.OPERATOR):
            self._form.set_visibility(True)
            self._reason.run_method("focus")

    async def look(self) -> None:
        """What others said meanwhile. Raises HistoryUnavailable."""
        one = self._part.id
        said = await self._page.services.query(lambda connection: reviews_of(connection, [one]))
        self.show(said.get(one, ()))

    def show(self, said: Sequence[Review]) -> None:
        """All of it, the newest first."""
        ids = tuple(one.id for one in said)
        if ids == self._shown:
            return
        self._shown = ids
        self._earlier.clear()
        with self._earlier:
            ui.label(t("inspections.review.earlier" if said else "inspections.review.nobody")).classes("part-soft")
            for one in said:
                self._tell(one)

    def _ask(self, labels: Sequence[str]) -> None:
        sign = sign_of(self._part.verdict.value)
        key = "inspections.review.question" if self.can_agree else "inspections.review.open_question"
        ui.label(t(key, verdict=sign.word.lower())).classes("review-question")
        with ui.element("div").classes("bar"):
            if self.can_agree:
                _button("inspections.review.agree", self._page.does(Role.OPERATOR, self._agreed), "review-agree")
            _button("inspections.review.overrule", self.open_form, "review-overrule")
        self._form = ui.element("div").classes("review-form").props("id=overrule")
        self._form.set_visibility(False)
        with self._form:
            self._truly = ui.radio(
                {said.value: f"{sign_of(said.value).symbol} {sign_of(said.value).word}" for said in Said},
                value=_otherwise(self._part.verdict).value,
            ).props("inline")
            self._reason = ui.textarea(t("inspections.review.reason")).props(
                f"outlined autogrow maxlength={LONGEST_REASON}"
            )
            own = [defect.label for defect in self._part.message.defects]
            self._labels = ui.select(
                sorted({*labels, *own}),
                label=t("inspections.review.labels"),
                value=list(dict.fromkeys(own)),
                multiple=True,
                with_input=True,
                new_value_mode="add-unique",
            ).props(f"outlined use-chips maxlength={LONGEST_LABEL}")
            self._labels.bind_visibility_from(self._truly, "value", value=Said.REJECT.value)
            with ui.element("div").classes("bar"):
                _button("inspections.review.save", self._page.does(Role.OPERATOR, self._overruled), "review-save")
                _button("inspections.review.cancel", lambda: self._form.set_visibility(False), "")

    async def _agreed(self, *_: object) -> None:
        await self.agree()

    async def _overruled(self, *_: object) -> None:
        said, reason = Said(self._truly.value), (self._reason.value or "").strip()
        if not reason and (overrules(self._part.verdict.value, said)):
            ui.notify(t("inspections.review.needs_reason"), type="warning")
            self._reason.run_method("focus")
            return
        labels = [str(label) for label in self._labels.value or ()] if said is Said.REJECT else []
        if await self._say(said, reason, labels):
            self._form.set_visibility(False)
            self._reason.set_value("")

    async def _say(self, said: Said, reason: str = "", labels: Sequence[str] = ()) -> bool:
        one, who, at_ms = self._part.id, self._page.principal, int(time.time() * 1000)
        lines = who.limited_to
        try:
            await self._page.services.change(
                lambda connection: review(
                    connection, one, said, lines=lines, by=who.name, at_ms=at_ms, reason=reason, labels=labels
                )
            )
        except ReviewRefused as exc:
            ui.notify(t("inspections.review.refused", why=str(exc)), type="warning", multi_line=True)
            return False
        ui.notify(t("inspections.review.saved", said=sign_of(said.value).word), type="positive")
        await self._saved()
        return True

    def _tell(self, one: Review) -> None:
        with ui.element("div").classes("review-said"):
            with ui.element("div").classes("bar"):
                SignBadge(one.said.value)
                ui.label(one.by).classes("review-by")
                ui.label(moment(one.at_ms, self._page.services.plant.zone)).classes("part-time")
            if one.reason:
                ui.label(one.reason).classes("review-reason")
            if one.labels:
                ui.label(t("inspections.review.with", labels=", ".join(one.labels))).classes("part-soft")


def _otherwise(verdict: Verdict) -> Said:
    return Said.PASS if verdict is Verdict.REJECT else Said.REJECT


def _heading(key: str) -> None:
    with ui.element("h2"):
        ui.label(t(key))


def _button(key: str, does: Callable[..., object], css: str) -> ui.element:
    button = ui.element("button").props("type=button").classes(f"head-button {css}")
    with button:
        ui.label(t(key))
    button.on("click", does)
    return button
