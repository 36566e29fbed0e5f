"""Judged parts out of the history, their pictures, and what people say of them."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from pipeline.control.inspections.answers import (
    REVIEW,
    InspectionAnswer,
    InspectionPage,
    ReviewView,
    page_view,
    part_answer,
    review_view,
)
from pipeline.control.inspections.asked import LONGEST_ID, Asked, printed
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.live.endless import EndlessResponse
from pipeline.control.problems import ApiError, busy
from pipeline.control.services import Caller, Here
from pipeline.history.export import as_csv, as_parquet, written
from pipeline.history.gallery import MOST_PARTS, BadCursor, PartFilter, PartRow, check_cursor, page, part
from pipeline.history.reviews import (
    LONGEST_LABEL,
    LONGEST_REASON,
    MOST_LABELS,
    ReviewRefused,
    Said,
    UnknownPart,
    review,
)
from pipeline.history.snapshots import NoPicture, PicturesUnavailable

MOST_EXPORTED = 100_000
USUAL = 100

router = APIRouter(tags=["inspections"])


class Form(StrEnum):
    """How parts are answered."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


MEDIA_TYPES = {Form.CSV: "text/csv; charset=utf-8", Form.PARQUET: "application/vnd.apache.parquet"}
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Parts, newest first.",
        "content": {"text/csv": {}, MEDIA_TYPES[Form.PARQUET]: {}},
    }
}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"description": "The picture.", "content": {"image/jpeg": {}}}}


def desk_of(here: Here) -> HistoryDesk:
    """Of the app that answers this. Raises ApiError 404 where no history is kept."""
    if here.history is None:
        raise ApiError(404, "no history is kept here: it begins with a `history` section in the config file")
    return here.history


Desk = Annotated[HistoryDesk, Depends(desk_of)]
# Any text is looked for; the pattern tells what those of ours look like.
PartId = Annotated[
    str,
    Path(
        description="The part's `inspection_id`, with its slashes.",
        examples=[REVIEW["inspection_id"]],
        json_schema_extra={"pattern": r"^[a-z0-9][a-zA-Z0-9._/-]+$"},
    ),
]


@router.get("/v1/inspections", summary="Judged parts, newest first", response_model=InspectionPage, responses=_FORMS)
async def list_inspections(
    here: Here,
    desk: Desk,
    wanted: Asked,
    format_: Annotated[Form, Query(alias="format")] = Form.JSON,
    limit: Annotated[
        int | None,
        Query(
            ge=1,
            le=MOST_EXPORTED,
            description=f"At most so many: {USUAL} if left out, and {MOST_PARTS} are the most, in JSON; "
            f"{MOST_EXPORTED} in the others.",
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(max_length=LONGEST_ID + 20, description="Only older ones: `next` of the page before.")
    ] = None,
) -> InspectionPage | Response:
    """Of your lines. A page may hold fewer than `limit`, none even, while `next` is there: what is rare is looked for
    in steps. CSV and Parquet are made while they are sent; docs/reviews.md tells their columns."""
    if cursor is not None:
        _check(cursor)
    if format_ is not Form.JSON:
        return _export(desk, wanted, format_, limit or MOST_EXPORTED, cursor, here.settings.stream_max_s)
    most = min(limit or USUAL, MOST_PARTS)
    return page_view(await desk.read(lambda connection: page(connection, wanted, cursor, most)))


@router.get("/v1/inspections/{inspection_id:path}", summary="One judged part, and what was said of it")
async def get_inspection(desk: Desk, caller: Caller, inspection_id: PartId) -> InspectionAnswer:
    """Its message as published, where its picture is, and its reviews."""
    return part_answer(await _part(desk, inspection_id, caller.limited_to))


@router.get(
    "/v1/pictures/{inspection_id:path}",
    summary="The stored picture of a judged part",
    response_class=Response,
    responses=_JPEG,
)
async def get_picture(desk: Desk, caller: Caller, inspection_id: PartId) -> Response:
    """The JPEG as it was stored, nothing drawn on it; 404 tells why there is none."""
    found = await _part(desk, inspection_id, caller.limited_to)
    try:
        jpeg = await desk.picture(found.message)
    except NoPicture as exc:
        raise ApiError(404, f"there is no picture of {inspection_id!r}: {exc}") from exc
    except PicturesUnavailable as exc:
        raise busy(f"{exc}: try again") from exc
    return Response(jpeg, media_type="image/jpeg")


class ReviewGiven(BaseModel):
    """What a part truly is."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [
                {"inspection_id": REVIEW["inspection_id"], "said": "pass", "reason": REVIEW["reason"]},
                {"inspection_id": REVIEW["inspection_id"], "said": "reject", "labels": ["dent"]},
            ]
        },
    }

    inspection_id: Annotated[str, StringConstraints(max_length=LONGEST_ID), AfterValidator(printed)]
    said: Said = Field(description="What the part truly is.")
    reason: Annotated[str, StringConstraints(max_length=LONGEST_REASON), AfterValidator(printed)] = Field(
        "", description="Why; needed where the line's verdict is overruled."
    )
    labels: list[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_LABEL), AfterValidator(printed)]] = (
        Field(default_factory=list, max_length=MOST_LABELS, description="Defects it truly has; none for a good part.")
    )


@router.post("/v1/reviews", status_code=201, summary="Agree with a verdict, or overrule it")
async def add_review(desk: Desk, caller: Caller, given: ReviewGiven) -> ReviewView:
    """Nothing is overwritten: the newest review of a part holds, and the others are kept with who said so and when."""
    now_ms = time.time_ns() // 1_000_000

    def say(connection: Any) -> ReviewView:
        said, verdict = review(
            connection,
            given.inspection_id,
            given.said,
            lines=caller.limited_to,
            by=caller.name,
            at_ms=now_ms,
            reason=given.reason,
            labels=given.labels,
        )
        return review_view(said, verdict)

    try:
        return await desk.write(say)
    except UnknownPart as exc:
        raise ApiError(404, str(exc)) from exc
    except ReviewRefused as exc:
        raise ApiError(422, str(exc)) from exc


async def _part(desk: HistoryDesk, inspection_id: str, lines: frozenset[str] | None) -> PartRow:
    found = None
    if len(inspection_id) <= LONGEST_ID:
        found = await desk.read(lambda connection: part(connection, inspection_id, lines))
    if found is None:
        short = inspection_id[:LONGEST_ID]
        raise ApiError(404, f"there is no part {short!r}: its id is wrong, or it is no longer kept")
    return found


def _check(cursor: str) -> None:
    try:
        check_cursor(cursor)
    except BadCursor as exc:
        raise ApiError(400, str(exc)) from exc


def _export(
    desk: HistoryDesk, wanted: PartFilter, form: Form, most: int, before: str | None, longest_s: float
) -> Response:
    response = EndlessResponse(_parts(desk, wanted, form, most, before, longest_s), MEDIA_TYPES[form], math.inf)
    response.headers["Content-Disposition"] = f'attachment; filename="inspections.{form.value}"'
    response.headers["X-Rayline-Limit"] = str(most)
    return response


async def _parts(
    desk: HistoryDesk, wanted: PartFilter, form: Form, most: int, before: str | None, longest_s: float
) -> AsyncGenerator[bytes, None]:
    """The file piece by piece. One that takes too long is cut off without its end, which clients notice."""
    end_at = time.monotonic() + longest_s
    with desk.exports.take():
        async with aclosing(desk.each(_pieces(desk, wanted, form, most, before))) as pieces:
            async for piece in pieces:
                if time.monotonic() > end_at:
                    raise busy(f"an export may take {longest_s:g} s (api.stream_max_s)")
                if piece:
                    yield piece


def _pieces(desk: HistoryDesk, wanted: PartFilter, form: Form, most: int, before: str | None) -> Iterator[bytes]:
    yield from written(as_csv if form is Form.CSV else as_parquet, desk.database(), wanted, most, before)
