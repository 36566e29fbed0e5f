"""Which parts the gallery shows, as its address says it: to be shared, kept as a bookmark, gone back to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pipeline.history.gallery import PartFilter
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import RangeError, parse_range

VERDICTS = ("reject", "indeterminate", "pass")
RANGES = ("last:1h", "last:8h", "last:24h", "last:7d", "last:30d")  # offered; an address may say any other
REVIEWED = ("yes", "no")

_MOST = 300  # characters of one value: no name is longer
_MINUTE = "%Y-%m-%dT%H:%M"  # as a browser's date fields write it


@dataclass(frozen=True, slots=True)
class GalleryQuery:
    """A filter; "" everywhere lets all through. What an address says wrongly counts as not said."""

    line: str = ""
    verdict: str = ""  # one of VERDICTS
    label: str = ""  # a defect's
    model: str = ""  # name:version
    recipe: str = ""
    range: str = ""  # as pipeline.history.ranges reads it: shift, day, last:8h, ...
    since: str = ""  # by the plant's clock, 2026-11-28T06:00; it and `until` win over `range`
    until: str = ""
    reviewed: str = ""  # one of REVIEWED
    external_id: str = ""
    before: str = ""  # a page's cursor; "": the newest page

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Self:
        """The filter that an address asks for."""
        query = cls(**{name: params[name].strip() for name in _NAMES if _is_said(params.get(name, ""))})
        return replace(
            query,
            verdict=query.verdict if query.verdict in VERDICTS else "",
            reviewed=query.reviewed if query.reviewed in REVIEWED else "",
            since=query.since if _minute(query.since) else "",
            until=query.until if _minute(query.until) else "",
        )

    @property
    def text(self) -> str:
        """What follows the `?`; "" for no filter."""
        return urlencode({name: value for name in _NAMES if (value := getattr(self, name))})

    @property
    def address(self) -> str:
        """Of the gallery."""
        return "/inspections" + (f"?{self.text}" if self.text else "")

    @property
    def is_newest(self) -> bool:
        """True on the page to which new parts come."""
        return not self.before

    @property
    def is_filtered(self) -> bool:
        """True where somebody asked for less than everything."""
        return self.without_page() != type(self)()

    def without_page(self) -> Self:
        """The same filter from its newest part on."""
        return replace(self, before="")

    def changed(self, **to: Any) -> Self:
        """Another filter, from its newest part on."""
        return replace(self, **{"before": "", **to})

    def times(self, plant: PlantSettings, now_ms: int) -> tuple[int | None, int | None]:
        """The first millisecond that counts and the first that no longer does; None: no limit."""
        if self.since or self.until:
            return _unix_ms(self.since, plant.zone), _unix_ms(self.until, plant.zone)
        if not self.range:
            return None, None
        try:
            found = parse_range(self.range, plant, now_ms)
        except RangeError:
            return None, None
        return found.since_ms, found.until_ms

    def wanted(self, lines: Collection[str] | None, plant: PlantSettings, now_ms: int) -> PartFilter:
        """What is asked of the history; `lines`: those that whoever asks may see, None for all."""
        asked = lines
        if self.line:
            asked = [self.line] if lines is None or self.line in lines else []
        since_ms, until_ms = self.times(plant, now_ms)
        return PartFilter(
            lines=asked,
            verdicts=[self.verdict] if self.verdict else (),
            sampled_passes=True,
            labels=[self.label] if self.label else (),
            model=self.model or None,
            recipe=self.recipe or None,
            external_id=self.external_id or None,
            reviewed={"yes": True, "no": False}.get(self.reviewed),
            since_ms=since_ms,
            until_ms=until_ms,
        )


_NAMES = tuple(field.name for field in fields(GalleryQuery))


def _is_said(text: str) -> bool:
    return 0 < len(text) <= _MOST and "\0" not in text  # which no database takes


def _minute(text: str) -> datetime | None:
    try:
        at = datetime.strptime(text, _MINUTE)
    except ValueError:
        return None
    return at if 1970 < at.year < 2200 else None  # others leave the range of dates in some time zone


def _unix_ms(text: str, zone: ZoneInfo) -> int | None:
    at = _minute(text)
    return int(at.replace(tzinfo=zone).astimezone(UTC).timestamp() * 1000) if at else None
