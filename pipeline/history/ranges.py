"""The time that figures and charts are of: an hour, a day or a shift by the plant's clock, the last N, or two times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from pipeline.history.plant import PlantSettings, Shift
from stages.errors import RaylineError

MINUTE_MS = 60_000
LONGEST_DAYS = 732

_LAST = re.compile(r"(\d{1,6})([mhd])")
_UNIT_MIN = {"m": 1, "h": 60, "d": 1440}
_HOW = (
    "hour, day, shift, week, month, day:2025-03-30, shift:NAME, shift:NAME@2025-03-30, last:90m, last:8h, last:7d or "
    "custom:2025-03-30T06:00/2025-03-30T14:00"
)


class RangeError(RaylineError):
    """No range of time; says what would be one."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `since_ms` until before `until_ms`, Unix milliseconds UTC; of counts by the minute, whole minutes."""

    since_ms: int
    until_ms: int
    name: str = ""  # of the shift, where it is one

    def __post_init__(self) -> None:
        """A range has a beginning before its end."""
        if self.until_ms <= self.since_ms:
            raise RangeError("a range of time ends after it begins")

    @property
    def since_minute(self) -> int:
        """The first Unix minute of it."""
        return self.since_ms // MINUTE_MS

    @property
    def until_minute(self) -> int:
        """The Unix minute behind its last."""
        return -(-self.until_ms // MINUTE_MS)

    @property
    def duration_ms(self) -> int:
        """How long it is."""
        return self.until_ms - self.since_ms

    def up_to(self, now_ms: int) -> TimeRange:
        """What of it has been; itself where it is over or has not begun."""
        if self.since_ms < now_ms < self.until_ms:
            return TimeRange(self.since_ms, now_ms, self.name)
        return self


def parse_range(text: str, plant: PlantSettings, now_ms: int) -> TimeRange:
    """The range that `text` names, whole even where it is not over (`up_to` cuts it). Raises RangeError."""
    word, _, rest = text.strip().partition(":")
    if word == "last" and (match := _LAST.fullmatch(rest)):
        return last(int(match[1]) * _UNIT_MIN[match[2]], now_ms)
    if word == "custom":
        since, _, until = rest.partition("/")
        return custom(since, until, plant)
    if word == "day":
        return day(plant, now_ms, _date(rest) if rest else None)
    if word == "shift":
        name, _, on = rest.partition("@")
        return shift(plant, now_ms, name or None, _date(on) if on else None)
    if text.strip() in _WHOLE:
        return _WHOLE[text.strip()](plant, now_ms)
    raise RangeError(f"{text!r} is no range of time: write {_HOW}")


def hour(plant: PlantSettings, now_ms: int) -> TimeRange:
    """The hour of the plant's clock that it is."""
    since = _local(plant, now_ms).replace(minute=0, second=0, microsecond=0)
    start = _ms(since)
    return TimeRange(start, start + 60 * MINUTE_MS)


def day(plant: PlantSettings, now_ms: int, on: date | None = None) -> TimeRange:
    """A day of the plant, midnight to midnight: 23 or 25 hours where the clock is changed."""
    on = on or _local(plant, now_ms).date()
    return TimeRange(_at(plant, on, time()), _at(plant, on + timedelta(days=1), time()))


def week(plant: PlantSettings, now_ms: int) -> TimeRange:
    """The week that it is, from Monday."""
    today = _local(plant, now_ms).date()
    monday = today - timedelta(days=today.weekday())
    return TimeRange(_at(plant, monday, time()), _at(plant, monday + timedelta(days=7), time()))


def month(plant: PlantSettings, now_ms: int) -> TimeRange:
    """The month that it is."""
    first = _local(plant, now_ms).date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return TimeRange(_at(plant, first, time()), _at(plant, following, time()))


def shift(plant: PlantSettings, now_ms: int, name: str | None = None, on: date | None = None) -> TimeRange:
    """A shift of the plant: the one of this name that began on this day, or the newest that began.

    A night shift is of the day on which it begins. A day on which the clock leaves its hours out has none. Raises
    RangeError where there is none.
    """
    shifts = [one for one in plant.shifts if name is None or one.name == name]
    if not shifts:
        known = ", ".join(one.name for one in plant.shifts)
        raise RangeError(
            f"there is no shift {name!r}: there are {known}" if known and name else "plant has no `shifts`"
        )
    if on is not None:
        if found := min(_shifts_on(plant, shifts, on), key=lambda one: one.since_ms, default=None):
            return found
        raise RangeError(f"there is no shift {shifts[0].name!r} on {on}: the clock is set forward over it")
    today = _local(plant, now_ms).date()
    days = (today - timedelta(days=back) for back in range(3))
    begun = [found for of in days for found in _shifts_on(plant, shifts, of) if found.since_ms <= now_ms]
    return max(begun, key=lambda found: (found.until_ms > now_ms, found.since_ms))


def last(minutes: int, now_ms: int) -> TimeRange:
    """So many minutes up to the end of the one that it is."""
    if not 1 <= minutes <= LONGEST_DAYS * 1440:
        raise RangeError(f"a range is of 1 minute to {LONGEST_DAYS} days")
    until = (now_ms // MINUTE_MS + 1) * MINUTE_MS
    return TimeRange(until - minutes * MINUTE_MS, until)


def custom(since: str, until: str, plant: PlantSettings) -> TimeRange:
    """From one ISO time to another, in whole minutes; by the plant's clock where they name no offset."""
    found = TimeRange(
        _moment(since, plant) // MINUTE_MS * MINUTE_MS, -(-_moment(until, plant) // MINUTE_MS) * MINUTE_MS
    )
    if found.duration_ms > LONGEST_DAYS * 1440 * MINUTE_MS:
        raise RangeError(f"a range is of 1 minute to {LONGEST_DAYS} days")
    return found


def days(span: TimeRange, plant: PlantSettings) -> Iterator[TimeRange]:
    """The plant's days that the range touches, whole, one behind the other."""
    found = day(plant, span.since_ms)
    while found.since_ms < span.until_ms:
        yield found
        found = day(plant, found.until_ms)


def _shifts_on(plant: PlantSettings, shifts: Sequence[Shift], on: date) -> Iterator[TimeRange]:
    for its in shifts:
        over_night = its.end_time <= its.start_time
        until_day = on + timedelta(days=1) if over_night else on
        since, until = _at(plant, on, its.start_time), _at(plant, until_day, its.end_time)
        if since < until:  # else the clock goes forward over it, on this day
            yield TimeRange(since, until, its.name)


def _at(plant: PlantSettings, on: date, clock: time) -> int:
    """A time that the clock leaves out is the moment it would have been; of one it shows twice, the first."""
    return _ms(datetime.combine(on, clock, tzinfo=plant.zone))


def _local(plant: PlantSettings, now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, tz=plant.zone)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(text: str, plant: PlantSettings) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RangeError(f"{text!r} is no time: write it as 2025-03-30T06:00") from None
    _check_year(moment.year)
    return _ms(moment if moment.tzinfo is not None else moment.replace(tzinfo=plant.zone))


def _date(text: str) -> date:
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise RangeError(f"{text!r} is no day: write it as 2025-03-30") from None
    _check_year(on.year)
    return on


def _check_year(year: int) -> None:
    if not 1970 < year < 3000:
        raise RangeError(f"nothing was made in the year {year}")


_WHOLE = {"hour": hour, "week": week, "month": month}
