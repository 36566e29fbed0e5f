"""ETags: who changes something says which state of it they have seen, and who has seen it need not be told again."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from pipeline.control.problems import ApiError

_TAG = re.compile(r'(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*(?:W/)?\"[\x21\x23-\x7e\x80-\xff]*\")*\s*")
_ANY = "*"

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=4096,
        description="The ETag of what you have seen: 412 where it was changed since. `*`: whatever it is.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=4096, description="The ETag of what you have: 304 where it still holds."),
]


def quoted(tag: str) -> str:
    """The tag as it stands in a header."""
    return f'"{tag}"'


def is_expected(header: str | None, tag: str) -> bool:
    """True where an If-Match header, or none, lets a change through. Raises ApiError where it is not to be read."""
    if header is None or header.strip() == _ANY:
        return True
    if not _LIST.fullmatch(header):
        raise ApiError(400, f"If-Match: give the ETag with its quotes, such as {quoted('4f1c')}, or *")
    return any(found["tag"] == tag and not found["weak"] for found in _TAG.finditer(header))


def is_known(header: str | None, tag: str) -> bool:
    """True where an If-None-Match header says that the asker has it; one that is not to be read says nothing."""
    if header is None:
        return False
    return header.strip() == _ANY or any(found["tag"] == tag for found in _TAG.finditer(header))
