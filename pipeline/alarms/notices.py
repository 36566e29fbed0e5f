"""What is still to be told of alarms, by channel: kept until it was taken there, over restarts too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from pipeline.alarms.store import Alarm, find
from pipeline.history.tables import alarm_notices

if TYPE_CHECKING:
    from sqlalchemy import Connection

SENT = "sent"


class What(StrEnum):
    """What there is to tell of an alarm."""

    RAISED = "raised"
    REPEATED = "repeated"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell on one channel."""

    id: int
    what: What
    at_ms: int
    tries: int  # the one about to be made counts
    alarm: Alarm


def write(connection: Connection, alarm: Alarm, what: What, channels: Iterable[tuple[str, int]], now_ms: int) -> None:
    """To be told on these channels; each has its name and how many may wait, the oldest are given up beyond."""
    for channel, most in channels:
        row = {"alarm_id": alarm.id, "channel": channel, "what": what, "at_ms": now_ms}
        connection.execute(insert(alarm_notices).values(**row, tries=0, next_ms=now_ms, outcome=""))
        too_many = _waiting_count(connection, channel) - most
        if too_many > 0:
            oldest = [one for one, _ in _waiting(connection, channel, too_many)]
            give_up(connection, oldest, "too many waited", now_ms)


def last_told(connection: Connection, alarm_ids: Collection[int]) -> dict[int, int]:
    """When there was last reason to tell of each of these, Unix milliseconds; none of those never told of."""
    its = select(alarm_notices.c.alarm_id, func.max(alarm_notices.c.at_ms))
    found = connection.execute(
        its.where(alarm_notices.c.alarm_id.in_(list(alarm_ids))).group_by(alarm_notices.c.alarm_id)
    )
    return {alarm_id: at_ms for alarm_id, at_ms in found}


def channels_told(connection: Connection, alarm_id: int) -> frozenset[str]:
    """Those that were told of this alarm, or are to be."""
    its = select(alarm_notices.c.channel).where(alarm_notices.c.alarm_id == alarm_id)
    return frozenset(connection.execute(its).scalars())


def take(connection: Connection, channel: str, now_ms: int, lease_s: float, most: int = 50) -> list[Notice]:
    """What is to be told next, in its order; nobody else is given it for `lease_s`. Empty: nothing is due.

    What waits behind something that is to be tried later waits with it: an end is not told before its beginning.
    """
    taken: list[Notice] = []
    for notice_id, next_ms in _waiting(connection, channel, most):
        if next_ms > now_ms:
            break
        same = (alarm_notices.c.id == notice_id, alarm_notices.c.next_ms == next_ms)
        mine = {"next_ms": now_ms + int(lease_s * 1e3), "tries": alarm_notices.c.tries + 1}
        if not connection.execute(update(alarm_notices).where(*same).values(**mine)).rowcount:
            break  # another sender of the same history has it
        if (notice := _notice(connection, notice_id)) is not None:
            taken.append(notice)
    return _still_true(connection, taken, now_ms)


def sent(connection: Connection, taken: Iterable[Notice], now_ms: int) -> None:
    """They were taken there."""
    _done(connection, [notice.id for notice in taken], SENT, now_ms)


def later(connection: Connection, taken: Iterable[Notice], next_ms: int) -> None:
    """They are to be tried again then."""
    ids = [notice.id for notice in taken]
    connection.execute(update(alarm_notices).where(alarm_notices.c.id.in_(ids)).values(next_ms=next_ms))


def give_up(connection: Connection, ids: Sequence[int], why: str, now_ms: int) -> None:
    """They are not told."""
    _done(connection, ids, f"given up: {why}"[:500], now_ms)


def give_up_others(connection: Connection, channels: Collection[str], now_ms: int) -> int:
    """What waits for channels that are not among these; how many."""
    left = select(alarm_notices.c.id).where(alarm_notices.c.done_ms.is_(None))
    ids = list(connection.execute(left.where(alarm_notices.c.channel.not_in(list(channels)))).scalars())
    give_up(connection, ids, "the channel is not configured any more", now_ms)
    return len(ids)


def forget(connection: Connection, before_ms: int, limit: int = 1000) -> int:
    """Delete those that were done before that, but for the last word of an alarm that holds; how many."""
    last = select(func.max(alarm_notices.c.id)).group_by(alarm_notices.c.alarm_id, alarm_notices.c.channel)
    old = select(alarm_notices.c.id).where(alarm_notices.c.done_ms < before_ms, alarm_notices.c.id.not_in(last))
    return connection.execute(delete(alarm_notices).where(alarm_notices.c.id.in_(old.limit(limit)))).rowcount


def _still_true(connection: Connection, taken: Sequence[Notice], now_ms: int) -> list[Notice]:
    """A reminder of what is over or acknowledged is none."""
    stale = [n for n in taken if n.what is What.REPEATED and (not n.alarm.holds or n.alarm.is_acknowledged)]
    if stale:
        give_up(connection, [notice.id for notice in stale], "it is over or acknowledged", now_ms)
    return [notice for notice in taken if notice not in stale]


def _waiting(connection: Connection, channel: str, most: int) -> list[tuple[int, int]]:
    waits = (alarm_notices.c.channel == channel, alarm_notices.c.done_ms.is_(None))
    wanted = select(alarm_notices.c.id, alarm_notices.c.next_ms).where(*waits).order_by(alarm_notices.c.id).limit(most)
    return [(notice_id, next_ms) for notice_id, next_ms in connection.execute(wanted)]


def _waiting_count(connection: Connection, channel: str) -> int:
    waits = (alarm_notices.c.channel == channel, alarm_notices.c.done_ms.is_(None))
    counted: int = connection.execute(select(func.count()).select_from(alarm_notices).where(*waits)).scalar_one()
    return counted


def _notice(connection: Connection, notice_id: int) -> Notice | None:
    row = connection.execute(select(alarm_notices).where(alarm_notices.c.id == notice_id)).one()
    alarm = find(connection, row.alarm_id)
    return None if alarm is None else Notice(row.id, What(row.what), row.at_ms, row.tries, alarm)


def _done(connection: Connection, ids: Sequence[int], outcome: str, now_ms: int) -> None:
    done = {"done_ms": now_ms, "outcome": outcome}
    connection.execute(update(alarm_notices).where(alarm_notices.c.id.in_(ids)).values(**done))
