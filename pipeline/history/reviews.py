"""What people said of parts, kept in the order they said it: the newest of a part holds; and the rates out of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from pipeline.history.intervals import Rate
from pipeline.history.tables import inspections, reviews
from stages.errors import RaylineError
from stages.values import Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

MOST_A_PART = 100
LONGEST_REASON = 1000
MOST_LABELS = 32
LONGEST_LABEL = 200
_LONGEST_NAME = 200


class Said(StrEnum):
    """What the part truly is."""

    PASS = "pass"  # noqa: S105 - a verdict
    REJECT = "reject"


class ReviewRefused(RaylineError):
    """The review does not fit; says why."""


class UnknownPart(RaylineError):
    """No part of that id is kept on the lines that were asked."""


@dataclass(frozen=True, slots=True)
class Review:
    """What one person said of one part."""

    id: int
    inspection_id: str
    line: str
    captured_ms: int  # of the part
    said: Said
    reason: str  # "" where they agree
    labels: tuple[str, ...]  # defects it truly has, where they say so
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ReviewRates:
    """How often the verdicts of a line were wrong, as far as people looked."""

    false_reject: Rate  # of reviewed rejects, those that are good
    escape: Rate  # of reviewed passes of the picture sample, those that are bad


def overrules(verdict: str, said: Said) -> bool:
    """True where the person says otherwise than the line; of an indeterminate part the line said nothing."""
    return verdict != Verdict.INDETERMINATE and verdict != said


def review(
    connection: Connection,
    inspection_id: str,
    said: Said,
    *,
    lines: Collection[str] | None,
    by: str,
    at_ms: int,
    reason: str = "",
    labels: Sequence[str] = (),
) -> tuple[Review, str]:
    """Adds what `by` says of a part on one of `lines` (None: on any); it, and the line's verdict of that part.

    Raises UnknownPart, ReviewRefused.

    No database takes a zero byte: a part is not known by one, a text with one is refused, and a name is kept without.
    """
    columns, part = inspections.c, None
    if "\0" not in inspection_id:
        part = connection.execute(
            select(columns.line, columns.verdict, columns.captured_ms).where(columns.id == inspection_id)
        ).one_or_none()
    if part is None or (lines is not None and part.line not in lines):
        raise UnknownPart(f"there is no part {inspection_id[:300]!r}: its id is wrong, or it is no longer kept")
    reason, named = reason.strip(), tuple(dict.fromkeys(label.strip() for label in labels))
    _check(said, reason, named, overrules(part.verdict, said))
    said_before = connection.scalar(select(func.count()).where(reviews.c.inspection_id == inspection_id)) or 0
    if said_before >= MOST_A_PART:
        raise ReviewRefused(f"a part takes at most {MOST_A_PART} reviews")
    row = {
        "inspection_id": inspection_id,
        "line": part.line,
        "captured_ms": part.captured_ms,
        "said": said.value,
        "reason": reason,
        "labels": list(named),
        "by": by.replace("\0", "")[:_LONGEST_NAME],
        "at_ms": at_ms,
    }
    added = connection.execute(insert(reviews).values(row).returning(reviews)).one()
    return _review(added), part.verdict


def _check(said: Said, reason: str, labels: Sequence[str], overruling: bool) -> None:
    if overruling and not reason:
        raise ReviewRefused("say why: whoever overrules a verdict gives a `reason`")
    if any("\0" in text for text in (reason, *labels)):
        raise ReviewRefused("the reason or a label holds a zero byte")
    if len(reason) > LONGEST_REASON:
        raise ReviewRefused(f"the reason is too long: at most {LONGEST_REASON} characters")
    if labels and said is Said.PASS:
        raise ReviewRefused("a part that is good has no defects: leave `labels` out")
    if len(labels) > MOST_LABELS or any(not 0 < len(label) <= LONGEST_LABEL for label in labels):
        raise ReviewRefused(f"labels: at most {MOST_LABELS}, each of 1 to {LONGEST_LABEL} characters")


def reviews_of(connection: Connection, ids: Collection[str]) -> Mapping[str, tuple[Review, ...]]:
    """Everything said of these parts, the newest first; parts of which nothing was said are left out."""
    told: dict[str, list[Review]] = {}
    rows = connection.execute(select(reviews).where(reviews.c.inspection_id.in_(ids)).order_by(reviews.c.id.desc()))
    for row in rows:
        told.setdefault(row.inspection_id, []).append(_review(row))
    return {inspection_id: tuple(said) for inspection_id, said in told.items()}


def rates(connection: Connection, line: str, since_ms: int, until_ms: int) -> ReviewRates:
    """Of the line's parts captured from `since_ms` up to before `until_ms`.

    Escapes are counted among passes of the sample alone: it was drawn by the part's id, whatever the part is. Passes
    that somebody looked at for another reason would say nothing of the others.
    """
    last = (
        select(func.max(reviews.c.id).label("id"))
        .where(reviews.c.line == line, reviews.c.captured_ms >= since_ms, reviews.c.captured_ms < until_ms)
        .group_by(reviews.c.inspection_id)
        .subquery()
    )
    part = inspections.c
    counted = (
        select(part.verdict, part.has_snapshot, reviews.c.said, func.count().label("parts"))
        .select_from(last)
        .join(reviews, reviews.c.id == last.c.id)
        .join(inspections, part.id == reviews.c.inspection_id)
        .group_by(part.verdict, part.has_snapshot, reviews.c.said)
    )
    rejects: dict[str, int] = {}
    sampled: dict[str, int] = {}
    for verdict, has_snapshot, said, parts in connection.execute(counted):
        if verdict == Verdict.REJECT:
            rejects[said] = rejects.get(said, 0) + parts
        elif verdict == Verdict.PASS and has_snapshot:
            sampled[said] = parts
    return ReviewRates(
        false_reject=Rate.of(rejects.get(Said.PASS, 0), sum(rejects.values())),
        escape=Rate.of(sampled.get(Said.REJECT, 0), sum(sampled.values())),
    )


def _review(row: Row[*tuple[object, ...]]) -> Review:
    fields = row._mapping
    return Review(**{**fields, "said": Said(fields["said"]), "labels": tuple(fields["labels"])})
