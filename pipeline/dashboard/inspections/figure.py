"""A part's large picture with its boxes over it, which can be taken away to look beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.inspections.addresses import picture_address
from pipeline.dashboard.inspections.cards import no_picture
from pipeline.dashboard.inspections.pictures import NOT_SHOWN, words_of
from pipeline.dashboard.inspections.stored_picture import boxes_on
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.inspections.geometry import Placed, SizeWh
    from pipeline.dashboard.inspections.pictures import Pictures
    from pipeline.history.gallery import PartRow


def part_figure(part: PartRow, size: SizeWh | str) -> None:
    """The picture of this size, or why there is none."""
    if isinstance(size, str):
        _none(size)
    else:
        _picture(part, size)


async def size_or_why(pictures: Pictures, part: PartRow) -> SizeWh | str:
    """The size of the part's picture, or in words why it cannot be shown."""
    if part.message.snapshot is None:
        return no_picture(part)
    try:
        return await pictures.size(part)
    except NOT_SHOWN as exc:
        return words_of(exc)


def _picture(part: PartRow, size: SizeWh) -> None:
    box, defects = boxes_on(part.message, size)
    with ui.element("figure").classes("panel figure"):
        with ui.element("div").classes("figure-frame") as frame:
            frame.style(f"aspect-ratio:{size[0]} / {size[1]}")
            image = ui.element("img").classes("figure-picture")
            image.props["src"] = picture_address(part.id)
            image.props["alt"] = t("inspections.picture_of", id=part.id)
            if box is not None:
                _box(box, "figure-part", "")
            for number, (defect, placed) in enumerate(zip(part.message.defects, defects, strict=False), 1):
                if placed is not None:
                    _box(placed, "figure-defect", _named(number, defect.label, defect.score, len(defects)))
        if box is not None:
            boxes = ui.checkbox(t("inspections.boxes"), value=True).classes("figure-boxes")
            boxes.on_value_change(lambda event: frame.classes(toggle="figure-bare"))
        else:
            ui.label(t("inspections.boxes_elsewhere")).classes("part-soft")


def _box(placed: Placed, css: str, words: str) -> None:
    box = ui.element("div").classes(f"figure-box {css}")
    box.style(
        f"left:{placed.left * 100:.3f}%;top:{placed.top * 100:.3f}%;"
        f"width:{placed.width * 100:.3f}%;height:{placed.height * 100:.3f}%"
    )
    if words:
        with box:
            ui.label(words).classes("figure-tag")


def _named(number: int, label: str, score: float, of: int) -> str:
    named = t("inspections.defect", label=label, score=f"{score:.2f}")
    return f"{number} {named}" if of > 1 else named


def _none(words: str) -> None:
    with ui.element("div").classes("panel figure figure-none"):
        ui.label("○").classes("state-symbol").props("aria-hidden=true")
        ui.label(words)
