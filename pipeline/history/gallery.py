"""Judged parts, newest first: page by page, and one by its id.

A page costs about the same however many parts are kept: each line and verdict (or label, or whatever finds the fewest)
is a short walk down an index, and the walks are merged. Where what is asked for has no index, a walk ends after
`SCANNED` parts: the page then holds fewer parts than asked, perhaps none, and `next` goes on behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, asc, desc, exists, or_, select

from pipeline.history.lines import lines_in
from pipeline.history.reviews import Review, reviews_of
from pipeline.history.tables import defects, inspections, reviews
from stages.errors import RaylineError
from stages.results.models import InspectionMessage, MessageError, parse_message
from stages.values import Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

MOST_PARTS = 500  # of a page
SCANNED = 5000  # of one walk

Key = tuple[int, str]  # captured_ms, id: what pages are ordered by


class BadCursor(RaylineError):
    """Not one that a page gave as its `next`."""


@dataclass(frozen=True, slots=True)
class PartFilter:
    """Which parts. Only `lines` must be said; what else is left out restricts nothing."""

    lines: Collection[str] | None  # those that whoever asks may see, or asks for among them; None: every line
    verdicts: Collection[str] = ()
    sampled_passes: bool = False  # of the passes only those of the picture sample
    labels: Collection[str] = ()  # parts with at least one of these defects
    model: str | None = None  # name:version
    recipe: str | None = None
    camera: str | None = None
    external_id: str | None = None
    reviewed: bool | None = None
    since_ms: int | None = None
    until_ms: int | None = None  # captured before


@dataclass(frozen=True, slots=True)
class PartRow:
    """One judged part. Times are Unix milliseconds UTC."""

    id: str
    line: str
    camera: str
    station: str
    counts: bool
    external_id: str | None
    verdict: Verdict
    captured_ms: int
    decided_ms: int
    recipe: str | None
    model: str  # name:version
    has_snapshot: bool
    document: str  # the message as published, JSON
    message: InspectionMessage
    reviews: tuple[Review, ...]  # the newest first

    @property
    def review(self) -> Review | None:
        """The one that holds."""
        return self.reviews[0] if self.reviews else None


@dataclass(frozen=True, slots=True)
class Page:
    """Parts, newest first."""

    parts: tuple[PartRow, ...]
    next: str | None  # there may be older ones: give this as `before`; None: these are the oldest
    reached_ms: int | None  # with `next`: so far back all were looked at


def page(connection: Connection, wanted: PartFilter, before: str | None = None, limit: int = 50) -> Page:
    """Parts captured before the cursor, at most `limit`. Raises BadCursor."""
    limit = max(1, min(limit, MOST_PARTS))
    start = None if before is None else _key(before)
    found: set[Key] = set()
    reached: list[Key] = []
    for walk in _walks(connection, wanted):
        keys, end = walk.run(connection, start, limit + 1)
        found.update(keys)
        reached += [end] if end is not None else []
    floor = max(reached, default=None)  # behind it one of the walks may have missed some
    keys = sorted((key for key in found if floor is None or key >= floor), reverse=True)
    following = keys[limit - 1] if len(keys) > limit else floor
    return Page(
        tuple(_rows(connection, keys[:limit])),
        None if following is None else _cursor(following),
        None if following is None else following[0],
    )


def part(connection: Connection, inspection_id: str, lines: Collection[str] | None) -> PartRow | None:
    """The part of this id if it is on one of `lines` (None: on any)."""
    if "\0" in inspection_id:  # no database takes it
        return None
    row = next(_rows(connection, [(0, inspection_id)]), None)
    return row if row is not None and (lines is None or row.line in lines) else None


def neighbour(connection: Connection, wanted: PartFilter, of: PartRow, *, newer: bool) -> PartRow | None:
    """The next part that fits, newer or older than this one; None where a walk of `SCANNED` parts finds none."""
    start = (of.captured_ms, of.id)
    walks = [walk.run(connection, start, 1, newer=newer) for walk in _walks(connection, wanted)]
    keys = sorted({key for found, _ in walks for key in found}, reverse=not newer)
    return next(_rows(connection, keys[:1]), None)


@dataclass(frozen=True, slots=True)
class _Walk:
    """Down one index, from the newest on; `rest` is asked of what it finds."""

    dialect: str
    id: ColumnElement[str]
    captured_ms: ColumnElement[int]
    where: tuple[ColumnElement[bool], ...]
    rest: tuple[ColumnElement[bool], ...] = ()
    repeats: bool = False  # the index may hold a part more than once

    def run(
        self, connection: Connection, start: Key | None, most: int, *, newer: bool = False
    ) -> tuple[list[Key], Key | None]:
        """At most `most` keys, and where the walk ended if it did not reach the index' end. `newer`: the other way."""
        at = _in_order(self.dialect, self.id)
        turned = asc if newer else desc
        order = (turned(self.captured_ms), turned(at))
        walked = select(self.id.label("id"), self.captured_ms.label("captured_ms")).where(*self.where)
        if self.repeats:
            walked = walked.group_by(self.id, self.captured_ms)
        if start is not None:
            ms, last = start
            behind = (
                (self.captured_ms >= ms, or_(self.captured_ms > ms, at > last))
                if newer
                else (self.captured_ms <= ms, or_(self.captured_ms < ms, at < last))
            )
            walked = walked.where(*behind)
        steps = SCANNED if self.rest else most
        seen = walked.order_by(*order).limit(steps).subquery()
        keys = select(seen.c.captured_ms, seen.c.id)
        if self.rest:
            keys = keys.join(inspections, inspections.c.id == seen.c.id).where(*self.rest)
        by_time = (turned(seen.c.captured_ms), turned(_in_order(self.dialect, seen.c.id)))
        found = [(row.captured_ms, row.id) for row in connection.execute(keys.order_by(*by_time).limit(most))]
        if len(found) >= most or not self.rest:
            return found, None
        end = connection.execute(
            select(seen.c.captured_ms, seen.c.id).order_by(*by_time).limit(1).offset(steps - 1)
        ).one_or_none()
        return found, None if end is None else (end.captured_ms, end.id)


def _walks(connection: Connection, wanted: PartFilter) -> Iterator[_Walk]:
    """By whatever finds the fewest parts."""
    if wanted.lines is not None and not wanted.lines:
        return
    part, dialect = inspections.c, connection.dialect.name
    rest = [*_same(wanted), *_lines(part.line, wanted)]
    verdicts, labels, times = _verdicts(wanted), _labels(wanted), _times(wanted, part.captured_ms)
    if wanted.external_id is not None:
        where = (part.external_id == wanted.external_id, *times)
        more = [*rest, *verdicts, *labels, *_reviewed(wanted)] or [part.external_id == wanted.external_id]
        yield _Walk(dialect, part.id, part.captured_ms, where, tuple(more))
        return
    if wanted.camera is not None and not (wanted.labels or wanted.reviewed or _is_one(wanted.lines)):
        more = [*rest, *verdicts, *_reviewed(wanted)]  # not down every other line, which has none of it
        yield _Walk(dialect, part.id, part.captured_ms, (part.camera == wanted.camera, *times), tuple(more))
        return
    for line in _known_lines(connection, wanted):
        if wanted.labels:
            its = defects.c
            for label in sorted(set(wanted.labels)):
                where = (its.line == line, its.label == label, *_times(wanted, its.captured_ms))
                more = [*_same(wanted), *verdicts, *_reviewed(wanted)]
                yield _Walk(dialect, its.inspection_id, its.captured_ms, where, tuple(more))
        elif wanted.reviewed:
            said = reviews.c
            where = (said.line == line, *_times(wanted, said.captured_ms))
            more = [*_same(wanted), *verdicts]
            yield _Walk(dialect, said.inspection_id, said.captured_ms, where, tuple(more), repeats=True)
        else:
            for chosen in _by_verdict(wanted):
                where = (part.line == line, *chosen, *times)
                more = [*_same(wanted), *_reviewed(wanted)]
                yield _Walk(dialect, part.id, part.captured_ms, where, tuple(more))


def _is_one(lines: Collection[str] | None) -> bool:
    return lines is not None and len(set(lines)) == 1


def _known_lines(connection: Connection, wanted: PartFilter) -> list[str]:
    if wanted.lines is not None:
        return sorted(set(wanted.lines))
    return lines_in(connection)


def _same(wanted: PartFilter) -> list[ColumnElement[bool]]:
    part = inspections.c
    asked: Sequence[tuple[Any, str | None]] = (
        (part.model, wanted.model),
        (part.recipe, wanted.recipe),
        (part.camera, wanted.camera),
    )
    return [column == value for column, value in asked if value is not None]


def _lines(column: ColumnElement[str], wanted: PartFilter) -> list[ColumnElement[bool]]:
    return [] if wanted.lines is None else [column.in_(sorted(set(wanted.lines)))]


def _verdicts(wanted: PartFilter) -> list[ColumnElement[bool]]:
    """As a condition on what another index found."""
    part = inspections.c
    asked: list[ColumnElement[bool]] = [part.verdict.in_(sorted(set(wanted.verdicts)))] if wanted.verdicts else []
    if wanted.sampled_passes:
        asked.append(or_(part.verdict != Verdict.PASS.value, part.has_snapshot))
    return asked


def _by_verdict(wanted: PartFilter) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """One walk down an index for each; none for all of them where neither verdict nor sample is asked for."""
    part = inspections.c
    if not wanted.verdicts and not wanted.sampled_passes:
        yield ()
        return
    for verdict in sorted(set(wanted.verdicts) or {str(verdict) for verdict in Verdict}):
        if verdict == Verdict.PASS and wanted.sampled_passes:
            yield part.has_snapshot.is_(True), part.verdict == verdict
        else:
            yield (part.verdict == verdict,)


def _labels(wanted: PartFilter) -> list[ColumnElement[bool]]:
    if not wanted.labels:
        return []
    its = defects.c
    return [exists().where(its.inspection_id == inspections.c.id, its.label.in_(sorted(set(wanted.labels))))]


def _reviewed(wanted: PartFilter) -> list[ColumnElement[bool]]:
    if wanted.reviewed is None:
        return []
    said = exists().where(reviews.c.inspection_id == inspections.c.id)
    return [said if wanted.reviewed else ~said]


def _times(wanted: PartFilter, column: ColumnElement[int]) -> list[ColumnElement[bool]]:
    since = [] if wanted.since_ms is None else [column >= wanted.since_ms]
    return since if wanted.until_ms is None else [*since, column < wanted.until_ms]


def _in_order(dialect: str, column: ColumnElement[str]) -> ColumnElement[str]:
    """Signs in the order of their codes, as Python compares them, whatever the database's language."""
    return column.collate("C") if dialect == "postgresql" else column


def _rows(connection: Connection, keys: Sequence[Key]) -> Iterator[PartRow]:
    ids = [inspection_id for _, inspection_id in keys]
    if not ids:
        return
    rows = {row.id: row for row in connection.execute(select(inspections).where(inspections.c.id.in_(ids)))}
    said = reviews_of(connection, ids)
    yield from (_part(rows[one], said.get(one, ())) for one in ids if one in rows)


def _part(row: Row[*tuple[Any, ...]], said: tuple[Review, ...]) -> PartRow:
    fields = dict(row._mapping)
    document = fields.pop("message")
    message = parse_message(document.encode())
    if not isinstance(message, InspectionMessage):
        raise MessageError(f"the history's part {row.id!r} holds a message of another kind")
    fields["verdict"] = Verdict(fields["verdict"])
    return PartRow(**fields, document=document, message=message, reviews=said)


def cursor_of(part: PartRow) -> str:
    """To be given as `before`: what is older than this part."""
    return _cursor((part.captured_ms, part.id))


def check_cursor(cursor: str) -> None:
    """Raises BadCursor."""
    _key(cursor)


def _cursor(key: Key) -> str:
    return f"{key[0]}-{key[1]}"


def _key(cursor: str) -> Key:
    ms, dash, inspection_id = cursor.partition("-")
    if not dash or not inspection_id or "\0" in inspection_id or not ms.isascii() or not ms.isdecimal() or len(ms) > 15:
        raise BadCursor("the cursor is none that a page gave as its `next`")
    return int(ms), inspection_id
