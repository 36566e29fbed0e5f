"""Which parts a request asks for: never of another line than the caller's."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime

from pipeline.control.problems import ApiError
from pipeline.control.services import Caller
from pipeline.history.gallery import PartFilter
from pipeline.history.records import unix_ms
from stages.values import Verdict

# No database takes every sign in a text.
PRINTED = r"^[^\x00-\x1f\x7f]*$"
LONGEST_ID = 300

_Word = Query(max_length=LONGEST_ID, pattern=PRINTED)
Label = Annotated[str, Query(max_length=200, pattern=PRINTED)]


def parts_asked(
    caller: Caller,
    line: Annotated[str | None, Query(max_length=63, description="Only this line's.")] = None,
    camera: Annotated[str | None, Query(max_length=63, pattern=PRINTED, description="Only this camera's.")] = None,
    verdict: Annotated[list[Verdict], Query(description="One of these; may be given more than once.")] = [],  # noqa: B006 - FastAPI copies it
    sample: Annotated[bool, Query(description="Of the passes only those that were pictured, as a sample.")] = False,
    label: Annotated[
        list[Label], Query(max_length=20, description="With one of these defects; may be given more than once.")
    ] = [],  # noqa: B006 - as above
    recipe: Annotated[str | None, _Word] = None,
    model: Annotated[str | None, Query(max_length=300, pattern=PRINTED, description="As name:version.")] = None,
    external_id: Annotated[str | None, _Word] = None,
    reviewed: Annotated[bool | None, Query(description="Whether somebody reviewed it.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Captured then or later; RFC 3339.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Captured before; RFC 3339.")] = None,
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
