"""One look at everything that may raise an alarm, and what follows from it, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from pipeline.alarms import notices, store
from pipeline.alarms.camera_blind import CameraWatch
from pipeline.alarms.channel_settings import ChannelSettings
from pipeline.alarms.charts import chart_points
from pipeline.alarms.figures import minutes_within, parts_since
from pipeline.alarms.notices import What
from pipeline.alarms.settings import AlarmSettings
from pipeline.alarms.sight import Place, Sights
from pipeline.alarms.store import Alarm
from pipeline.alarms.values import AlarmKey, Judged, Kind, Severity
from pipeline.history.database import Database
from pipeline.history.plant import PlantSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection

logger = logging.getLogger(__name__)

SLOW_S = 60.0  # what is counted by the minute and reaches far back is looked at no more often

Judgements = Mapping[AlarmKey, Judged]


class Evaluator:
    """Belongs to one thread at a time. What holds is in the database alone: a restart raises nothing twice."""

    def __init__(
        self,
        settings: AlarmSettings,
        database: Database,
        lines: Collection[str],
        channels: Mapping[str, ChannelSettings],
        plant: PlantSettings,
    ) -> None:
        self._settings = settings
        self._database = database
        self._lines = frozenset(lines)
        self._channels = channels
        self._plant = plant
        self._watches: dict[Place, CameraWatch] = {}
        self._slow_at = 0.0

    def look(self, seen: Sights | None, now: float) -> bool:
        """Judges everything at `now`, Unix seconds; True where something changed. Raises HistoryUnavailable.

        `seen`: every camera that is to run; None where that is not known now, and then no camera is judged.
        """
        lines = self._lines | {place.line for place in seen or ()}
        with self._database.read() as connection:
            standing = store.holding(connection)
            holding = {alarm.key: alarm.severity for alarm in standing}
            judged = dict(self._fast(connection, lines, holding, now))
            if now - self._slow_at >= SLOW_S:
                judged |= dict(self._slow(connection, lines, holding, now))
                self._slow_at = now
            repeated = self._to_repeat(connection, standing, now)
        if seen is not None:
            judged |= dict(self._seen(seen, holding, now))
            judged |= self._forsaken(holding, lines, seen)
        return self._apply(judged, standing, repeated, now)

    def _fast(
        self, connection: Connection, lines: Collection[str], holding: Collection[AlarmKey], now: float
    ) -> Iterator[tuple[AlarmKey, Judged]]:
        for line in lines:
            if (rule := self._settings.rules(line).reject_rate) is not None:
                key = AlarmKey(Kind.REJECT_RATE, line)
                parts, rejects = parts_since(connection, line, int(now // 60) - rule.window_min + 1)
                yield key, rule.judge(parts, rejects, key in holding)

    def _slow(
        self, connection: Connection, lines: Collection[str], holding: Mapping[AlarmKey, Severity], now: float
    ) -> Iterator[tuple[AlarmKey, Judged]]:
        for line in lines:
            rules = self._settings.rules(line)
            if (burn := rules.latency) is not None:
                key = AlarmKey(Kind.LATENCY, line)
                spans = burn.spans_min()
                minutes = minutes_within(connection, line, burn.within_ms, spans, int(now // 60))
                yield key, burn.judge(minutes, holding.get(key))
            if (run := rules.run_rule) is not None:
                key = AlarmKey(Kind.RUN_RULE, line, run.chart)
                yield key, run.judge(chart_points(connection, line, run, self._plant, int(now * 1e3)), key in holding)

    def _seen(self, seen: Sights, holding: Collection[AlarmKey], now: float) -> Iterator[tuple[AlarmKey, Judged]]:
        self._watches = {place: self._watches.get(place, CameraWatch()) for place in seen}
        for place, sight in seen.items():
            if (rule := self._settings.rules(place.line).camera_blind) is not None:
                key = AlarmKey(Kind.CAMERA_BLIND, *place)
                yield key, self._watches[place].judge(rule, sight, now, key in holding)

    def _forsaken(self, holding: Collection[AlarmKey], lines: Collection[str], seen: Sights) -> Judgements:
        """Alarms of what nobody looks at any more: a rule that was taken away, a line or a camera that is gone."""
        return {
            key: Judged(False, "it is not watched any more")
            for key in holding
            if key.line not in lines or not self._is_watched(key, seen)
        }

    def _is_watched(self, key: AlarmKey, seen: Sights) -> bool:
        rules = self._settings.rules(key.line)
        match key.kind:
            case Kind.REJECT_RATE:
                return rules.reject_rate is not None
            case Kind.LATENCY:
                return rules.latency is not None
            case Kind.RUN_RULE:
                return rules.run_rule is not None and rules.run_rule.chart == key.subject
            case Kind.CAMERA_BLIND:
                return rules.camera_blind is not None and Place(key.line, key.subject) in seen

    def _to_repeat(self, connection: Connection, standing: Collection[Alarm], now: float) -> list[Alarm]:
        after_min = self._settings.repeat_after_min
        if after_min is None:
            return []
        unknown = {alarm.id: alarm for alarm in standing if not alarm.is_acknowledged and self._concerned(alarm)}
        told = notices.last_told(connection, unknown)
        due_ms = (now - after_min * 60) * 1e3
        return [alarm for alarm in unknown.values() if told.get(alarm.id, alarm.raised_ms) <= due_ms]

    def _apply(self, judged: Judgements, standing: Collection[Alarm], repeated: Collection[Alarm], now: float) -> bool:
        """Writes what changes, if anything does: mostly nothing, and then nobody waits for the database."""
        held = {alarm.key: alarm.severity for alarm in standing}
        begun = {key: one for key, one in judged.items() if one.holds and held.get(key) is not one.severity}
        over = {key: one for key, one in judged.items() if one.holds is False and key in held}
        if not (begun or over or repeated):
            return False
        now_ms = int(now * 1e3)
        with self._database.write() as connection:
            for key, one in begun.items():
                if (raised := store.raise_alarm(connection, key, one.severity, one.detail, now_ms)) is not None:
                    logger.warning("alarm %s of %s %s: %s", key.kind, key.line, key.subject, one.detail)
                    self._tell(connection, raised, What.RAISED, now_ms)
            for key, one in over.items():
                if (cleared := store.clear_alarm(connection, key, now_ms)) is not None:
                    logger.info("alarm %s of %s %s is over: %s", key.kind, key.line, key.subject, one.detail)
                    if self._settings.tell_cleared:
                        self._tell(connection, cleared, What.CLEARED, now_ms)
            for alarm in repeated:
                if alarm.key not in over and alarm.key not in begun:
                    self._tell(connection, alarm, What.REPEATED, now_ms)
        return True

    def _tell(self, connection: Connection, alarm: Alarm, what: What, now_ms: int) -> None:
        names = self._concerned(alarm)
        if what is What.CLEARED:  # who was told while it was worse is told that it ended
            names |= notices.channels_told(connection, alarm.id) & self._channels.keys()
        told = [(name, self._channels[name].most_waiting) for name in sorted(names)]
        notices.write(connection, alarm, what, told, now_ms)

    def _concerned(self, alarm: Alarm) -> frozenset[str]:
        """The channels that are told of it as it is."""
        return frozenset(
            name
            for name, settings in self._channels.items()
            if (settings.lines is None or alarm.key.line in settings.lines) and alarm.severity.covers(settings.severity)
        )
