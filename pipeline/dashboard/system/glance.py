"""The page's first row: whether Rayline, Redis and the history do, in a sign and a sentence each."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from nicegui import ui

from pipeline.dashboard.durations import lasted, moment
from pipeline.dashboard.signs import SignBadge
from pipeline.dashboard.system.reading import Seen
from pipeline.dashboard.tables import Signed
from pipeline.dashboard.texts import t

LATE_S = 30.0  # behind by more is worth a sign
_SIZES = ("B", "kB", "MB", "GB", "TB")


class GlanceCard(ui.element):
    """A name, a sign, and sentences."""

    def __init__(self, name_key: str) -> None:
        super().__init__("section")
        self.classes("panel glance").props(f"data-part={name_key.removeprefix('system.')}")
        with self:
            with ui.element("h2"):
                ui.label(t(name_key))
            self._sign = SignBadge("unknown", large=True)
            self._first, self._second = ui.label().classes("alarm-soft"), ui.label().classes("alarm-soft")

    def show(self, sign: Signed, first: str = "", second: str = "") -> None:
        """As it is now."""
        self._sign.show(*sign)
        self._first.set_text(first)
        self._second.set_text(second)


class Glance(ui.element):
    """The cards."""

    def __init__(self, redis_address: str, history_address: str | None, zone: ZoneInfo) -> None:
        super().__init__("div")
        self.classes("grid grid-glance")
        self._redis_address, self._history_address, self._zone = redis_address, history_address, zone
        with self:
            self._running = GlanceCard("system.running")
            self._redis = GlanceCard("system.redis")
            self._history = GlanceCard("system.history")
            self._spool = GlanceCard("system.spool")

    def show(self, seen: Seen, cameras: frozenset[str]) -> None:
        """As it is now; `cameras` are those the reader of the page may see."""
        self._running.show(*_running(seen))
        self._redis.show(*self._redis_words(seen))
        self._history.show(*self._history_words(seen))
        self._spool.show(*_spool(seen, cameras))

    def _redis_words(self, seen: Seen) -> tuple[Signed, str, str]:
        facts = seen.redis
        if facts is None:
            return Signed("failed", t("system.away")), self._redis_address, ""
        detail = {"address": self._redis_address, "version": facts.version, "duration": lasted(facts.up_s)}
        used = {"used": size_text(facts.used_bytes), "limit": size_text(facts.most_bytes), "clients": facts.clients}
        memory = t("system.redis.memory" if facts.most_bytes else "system.redis.memory_free", **used)
        sign = Signed("warning", t("system.redis.full")) if facts.is_full else Signed("ok")
        return sign, t("system.redis.detail", **detail), memory

    def _history_words(self, seen: Seen) -> tuple[Signed, str, str]:
        if self._history_address is None:
            return Signed("starved", t("system.off")), t("system.history.off"), ""
        where = self._where(seen)
        lag = seen.lag
        if lag is None:
            return Signed("unknown"), "", where
        if not lag.is_read:
            return Signed("waiting"), t("system.history.nobody"), where
        sign = Signed("warning", t("system.history.late")) if lag.seconds > LATE_S else Signed("ok")
        if lag.entries == 0 or (lag.entries is None and not lag.seconds):
            return sign, t("system.history.even"), where
        duration = lasted(lag.seconds)
        if lag.entries is None:
            return sign, t("system.history.behind_time", duration=duration), where
        key = "system.history.behind_long" if lag.seconds >= 1 else "system.history.behind"
        return sign, t(key, count=lag.entries, duration=duration), where

    def _where(self, seen: Seen) -> str:
        if seen.size is None:
            return str(self._history_address)
        values = {"size": size_text(seen.size.bytes), "address": self._history_address}
        if seen.size.newest_ms is None:
            return t("system.history.size_empty", **values)
        return t("system.history.size", **values, at=moment(seen.size.newest_ms, self._zone))


def _running(seen: Seen) -> tuple[Signed, str]:
    report, desired = seen.report, seen.desired
    if report is None or desired is None:
        return Signed("failed", t("system.running.not")), t("system.running.none")
    if report.desired_version < desired.version:
        told = t("system.running.behind", version=desired.version, now=report.desired_version)
        return Signed("waiting"), told
    since = lasted(report.at - report.started_at)
    return Signed("running"), t("system.running.since", duration=since, version=report.desired_version)


def _spool(seen: Seen, cameras: frozenset[str]) -> tuple[Signed, str]:
    if seen.report is None:
        return Signed("unknown"), ""
    waiting = {c.camera: c.waiting for c in seen.report.cameras if c.waiting and c.camera in cameras}
    if not waiting:
        return Signed("ok"), t("system.spool.none")
    told = ", ".join(f"{camera} {count}" for camera, count in sorted(waiting.items()))
    return Signed("waiting"), t("system.spool.waits", count=sum(waiting.values()), cameras=told)


def size_text(count: float) -> str:
    """3.4 MB."""
    for unit in _SIZES[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {_SIZES[-1]}"
