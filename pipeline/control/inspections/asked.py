"""Which parts a request asks for: never of another line than the caller's."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from pipeline.control.problems import ApiError
from pipeline.control.services import Caller
from pipeline.history.gallery import PartFilter
from pipeline.history.records import unix_ms
from stages.values import Verdict

LONGEST_ID = 300
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def printed(text: str) -> str:
    """The text. Raises ValueError where it holds a zero byte, which no database takes."""
    if "\0" in text:
        raise ValueError("holds a zero byte")
    return text


def dated(value: Any) -> Any:
    """The value. Raises ValueError where it begins with no date: pydantic takes numbers for seconds."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("must be a time such as 2026-11-28T06:00:00Z")
    return value


Name = Annotated[str, Query(max_length=63), AfterValidator(printed)]
Text = Annotated[str, Query(max_length=LONGEST_ID), AfterValidator(printed)]
Time = Annotated[AwareDatetime, BeforeValidator(dated)]


def parts_asked(
    caller: Caller,
    line: Annotated[Name | None, Query(description="Only this line's.")] = None,
    camera: Annotated[Name | None, Query(description="Only this camera's.")] = None,
    verdict: Annotated[list[Verdict], Query(description="One of these; may be given more than once.")] = [],  # noqa: B006 - FastAPI copies it
    sample: Annotated[bool, Query(description="Of the passes only those that were pictured, as a sample.")] = False,
    label: Annotated[
        list[Text], Query(max_length=20, description="With one of these defects; may be given more than once.")
    ] = [],  # noqa: B006 - as above
    recipe: Annotated[Name | None, Query(description="Judged by this recipe.")] = None,
    model: Annotated[Text | None, Query(description="As name:version.")] = None,
    external_id: Annotated[Text | None, Query(description="With this serial number.")] = None,
    reviewed: Annotated[bool | None, Query(description="Whether somebody reviewed it.")] = None,
    since: Annotated[Time | None, Query(description="Captured then or later; RFC 3339.")] = None,
    until: Annotated[Time | None, Query(description="Captured before; RFC 3339.")] = None,
) -> PartFilter:
    """Raises ApiError 404 for a line that is not the caller's."""
    if line is not None and not caller.may_see(line):
        raise ApiError(404, f"there is no line {line!r}")
    return PartFilter(
        lines=caller.limited_to if line is None else frozenset({line}),
        verdicts=tuple(each.value for each in verdict),
        sampled_passes=sample,
        labels=tuple(label),
        model=model,
        recipe=recipe,
        camera=camera,
        external_id=external_id,
        reviewed=reviewed,
        since_ms=None if since is None else unix_ms(since),
        until_ms=None if until is None else unix_ms(until),
    )


Asked = Annotated[PartFilter, Depends(parts_asked)]
