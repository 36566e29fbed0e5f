"""One part in the gallery: its picture, what was said of it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from nicegui import ui

from pipeline.dashboard.durations import moment
from pipeline.dashboard.inspections.addresses import part_address, picture_address
from pipeline.dashboard.signs import SignBadge, sign_of
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.inspections.query import GalleryQuery
    from pipeline.history.gallery import PartRow
    from pipeline.history.reviews import Review

MOST_NAMED = 4  # defects by name; more are counted


class PartCard:
    """A card that leads to the part's page; only what people say of the part changes on it."""

    def __init__(self, part: PartRow, query: GalleryQuery, zone: ZoneInfo) -> None:
        self._review_id: int | None = None
        self.element = ui.element("a").classes(f"part-card part-{part.verdict.value}")
        self.element.props["href"] = part_address(part.id, query)
        self.element.props["data-part"] = part.id
        with self.element:
            _picture(part)
            with ui.element("div").classes("part-words"):
                with ui.element("div").classes("part-head"):
                    SignBadge(part.verdict.value)
                    ui.label(moment(part.captured_ms, zone)).classes("part-time")
                if why := why_of(part):
                    ui.label(why).classes("part-why")
                ui.label(f"{part.line} · {part.station}").classes("part-where")
                ui.label(" · ".join(filter(None, (part.model, part.recipe, part.external_id)))).classes("part-soft")
                self._said = ui.label().classes("part-said")
        self.update(part)

    def update(self, part: PartRow) -> None:
        """What people say of it by now."""
        review = part.review
        if review is None:
            self._said.set_text(t("inspections.not_reviewed"))
        elif review.id != self._review_id:
            self._review_id = review.id
            self._said.set_text(said_by(review)).classes(add="part-said-so")


def said_by(review: Review) -> str:
    """In words, with the sign of what they say."""
    sign = sign_of(review.said.value)
    return t("inspections.by_person", by=review.by, said=f"{sign.symbol} {sign.word}")


def why_of(part: PartRow) -> str:
    """The reasons, and the defects that the reasons do not name."""
    message = part.message
    reasons = list(message.reasons)
    labels = [label for label in dict.fromkeys(defect.label for defect in message.defects) if label not in reasons]
    named, more = [*reasons, *labels][:MOST_NAMED], len(reasons) + len(labels) - MOST_NAMED
    return ", ".join([*named, *([t("inspections.more", count=more)] if more > 0 else [])])


def _picture(part: PartRow) -> None:
    with ui.element("div").classes("part-frame"):
        if part.message.snapshot is None:
            with ui.element("div").classes("part-no-picture"):
                ui.label(no_picture(part))
            return
        image = ui.element("img").classes("part-picture")
        image.props["src"] = picture_address(part.id, small=True)
        image.props["alt"] = t("inspections.picture_of", id=part.id)
        image.props["loading"] = "lazy"


def no_picture(part: PartRow) -> str:
    """Why there is none."""
    why = part.message.snapshot_error
    return t("inspections.picture_failed", why=why) if why else t("inspections.no_picture")
