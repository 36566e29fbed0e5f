"""A relay: hands what stands in the Redis streams on to another system, at least once and in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

from pipeline.absence import Absence
from pipeline.observe.metrics import Metrics
from pipeline.relays.jsonl_sink import JsonLinesSink
from pipeline.relays.outgoing import Fate, OtherSideAway, Outgoing, RelaySink, Sent
from pipeline.relays.settings import JsonLinesRelaySettings, KafkaRelaySettings, Topic
from pipeline.sinks.dead_letter import dead_letter
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.group_reader import Delivery, EntriesLost, GroupReader
from pipeline.sinks.keys import dead_key, line_and_stream, stream_pattern
from pipeline.sinks.reader_floors import ReaderFloors
from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

LOOK_AFTER_S = 1.0
READ_AT_ONCE = 200  # entries a stream
GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """How a relay does. Times are Unix seconds."""

    name: str
    kind: str
    address: str
    state: str  # running, or waiting for one side
    relayed: Mapping[str, int] = field(default_factory=dict)  # topic -> messages, since this relay was started
    refused: int = 0  # messages set aside
    gaps: int = 0  # times entries were gone before they were read
    behind: int | None = None  # entries not handed on; None where Redis does not count them
    behind_s: float = 0.0
    last_error: str | None = None
    last_error_at: float | None = None


def group_of(name: str) -> str:
    """What a relay's consumer group is called."""
    return f"relay-{name}"


def sink_of(settings: KafkaRelaySettings | JsonLinesRelaySettings) -> RelaySink:
    """The other side that the settings mean."""
    if isinstance(settings, JsonLinesRelaySettings):
        return JsonLinesSink(settings)
    from pipeline.relays.kafka_sink import KafkaSink

    return KafkaSink(settings)


class Relay:
    """Reads, hands on, and only then acks. Whichever side is away, it waits for it and goes on.

    Messages under way are at most `max_in_flight`; as many may arrive twice after a crash.
    """

    def __init__(
        self,
        name: str,
        settings: KafkaRelaySettings | JsonLinesRelaySettings,
        redis: RedisSettings,
        lines: Sequence[str],
        metrics: Metrics,
        sink: RelaySink | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lines` are those known before anything stands in Redis."""
        self._name = name
        self._settings = settings
        self._lines = settings.lines if settings.lines is not None else tuple(lines)
        self._group = group_of(name)
        patterns = [stream_pattern(topic.value, line) for topic in settings.topics for line in settings.lines or ("*",)]
        self._reader = GroupReader(
            redis, patterns, self._group, self._group, count=min(READ_AT_ONCE, settings.max_in_flight)
        )
        self._floors = ReaderFloors(redis)
        self._sink = sink or sink_of(settings)
        self._metrics = metrics
        self._clock = clock

        self._waiting: list[Delivery] = []  # read, and not with the other side
        self._refused: list[tuple[Delivery, str]] = []  # to be set aside
        self._done: list[Delivery] = []  # to be acked
        self._ending = asyncio.Event()
        self._absence = Absence(f"relay {name}", logger, clock)
        self._looked_at = -float("inf")
        self._held: frozenset[str] | None = None  # lines it is registered for; None: it has not looked since it began
        self._relayed: Counter[str] = Counter()
        self._refusals = 0
        self._gaps = 0
        self._behind: int | None = None
        self._behind_s = 0.0
        self._last_error: str | None = None
        self._last_error_at: float | None = None

    def status(self) -> RelayStatus:
        """How it does now."""
        return RelayStatus(
            name=self._name,
            kind=self._settings.kind,
            address=self._sink.address,
            state="waiting" if self._absence.lasts else "running",
            relayed=dict(self._relayed),
            refused=self._refusals,
            gaps=self._gaps,
            behind=self._behind,
            behind_s=self._behind_s,
            last_error=self._last_error,
            last_error_at=self._last_error_at,
        )

    async def run(self) -> None:
        """Relay until cancelled, or told to finish and done."""
        try:
            has_more = True
            while has_more or not self._ending.is_set():
                try:
                    has_more = await self.step()
                except (SinkUnavailable, OtherSideAway) as exc:
                    if await self._wait(exc):
                        return
        finally:
            await self._close()

    def finish(self) -> None:
        """Make `run` return once all is handed on that stands in Redis, or at once where one side is away."""
        self._ending.set()

    async def step(self) -> bool:
        """Hand on what there is now, waiting a moment for it; False if nothing came.

        Raises SinkUnavailable or OtherSideAway, and is to be called again then.
        """
        await self._settle()
        await self._look_after()
        if not self._waiting:
            self._waiting = await self._read()
        has_some = bool(self._waiting)
        left = await self._hand_on()
        await self._settle()
        if left is not None:
            raise OtherSideAway(left.reason, needs_a_person=left.needs_a_person)
        self._absence.is_over()
        return has_some

    async def _read(self) -> list[Delivery]:
        found = []
        for each in await self._reader.read():
            if isinstance(each, EntriesLost):
                self._tell_gap(each)
            else:
                found.append(each)
        return found

    async def _hand_on(self) -> Sent | None:
        """What was left of it, if anything."""
        now, later = self._waiting[: self._settings.max_in_flight], self._waiting[self._settings.max_in_flight :]
        if not now:
            return None
        fates = await self._sink.send([_outgoing(delivery) for delivery in now])
        left = []
        for delivery, sent in zip(now, fates, strict=True):
            if sent.fate is Fate.LEFT:
                left.append(delivery)
            elif sent.fate is Fate.REFUSED:
                self._refused.append((delivery, sent.reason))
            else:
                self._done.append(delivery)
        self._count(self._done)
        self._waiting = left + later
        return next((sent for sent in fates if sent.fate is Fate.LEFT), None)

    async def _settle(self) -> None:
        """What is with the other side, or set aside, is done with. Until that is known nothing more is sent."""
        while self._refused:
            delivery, why = self._refused[0]
            dead = dead_key(delivery.stream, self._group)
            letter = dead_letter(delivery, why, time.time())
            await self._reader.bury(delivery, dead, self._settings.max_dead_letters, letter)
            self._refused.pop(0)
            self._tell_refused(delivery, why)
        if self._done:
            await self._reader.ack(self._done)
            self._done = []

    async def _look_after(self) -> None:
        """Once a second: let the sink do what is due, hold the lines' streams, and note how far this relay is.

        At once where there is a new line: its streams are not held yet.
        """
        holds_all = self._held is not None and self._its_lines() <= self._held
        if holds_all and self._clock() - self._looked_at < LOOK_AFTER_S:
            return
        self._looked_at = self._clock()
        await self._sink.tick()  # first: what is handed on is to be safe also while Redis is away
        await self._note()

    async def _note(self) -> None:
        kinds = [topic.value for topic in self._settings.topics]
        if self._held is None:
            await self._floors.hold_only(self._settings.lines, kinds, self._group)
        lines = self._its_lines()
        await self._floors.register(sorted(lines), kinds, self._group)  # each time: Redis may have come back without it
        self._held = lines
        floors = await self._floors.note(self._reader.streams, self._group)
        counts = [floor.behind for floor in floors]
        self._behind = None if None in counts else sum(count or 0 for count in counts)
        self._behind_s = max((floor.behind_s for floor in floors), default=0.0)
        self._metrics.relay_behind(self._name, self._behind_s, self._behind)

    def _its_lines(self) -> frozenset[str]:
        return frozenset(self._lines).union(line_and_stream(stream)[0] for stream in self._reader.streams)

    async def _close(self) -> None:
        async with AsyncExitStack() as opened:  # closed from the last on, whatever the good-bye or one of them raises
            for each in (self._floors, self._reader, self._sink):
                opened.push_async_callback(each.close)
            with suppress(SinkUnavailable, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._settle()
                    await self._note()

    def _count(self, stored: Sequence[Delivery]) -> None:
        topics = Counter(_topic(delivery.stream) for delivery in stored)
        self._relayed.update(topics)
        for topic, messages in topics.items():
            self._metrics.relayed(self._name, topic, messages)

    async def _wait(self, exc: SinkUnavailable | OtherSideAway) -> bool:
        """Before the next try; True where it ended meanwhile."""
        if isinstance(exc, SinkUnavailable):
            what, told, needs_a_person = "redis", str(exc), isinstance(exc, SinkRefused)
        else:
            what, told, needs_a_person = "away", f"{self._sink.address}: {exc}", exc.needs_a_person
        self._metrics.relay_failed(self._name, what)
        self._last_error, self._last_error_at = told, time.time()
        return await self._absence.wait(told, self._ending, needs_a_person=needs_a_person)

    def _tell_gap(self, lost: EntriesLost) -> None:
        self._gaps += 1
        self._metrics.relay_failed(self._name, "lost")
        self._last_error = f"entries of {lost.stream} between {lost.after} and {lost.before} were gone unread"
        self._last_error_at = time.time()
        logger.error("relay %s: %s; raise redis.maxlen_* or maxlen_hard_factor", self._name, self._last_error)

    def _tell_refused(self, delivery: Delivery, why: str) -> None:
        self._refusals += 1
        self._metrics.relay_failed(self._name, "refused")
        self._last_error, self._last_error_at = f"{delivery.message_id} refused: {why}", time.time()
        logger.error("relay %s: message %s is set aside: %s", self._name, delivery.message_id, why)


def _topic(stream: str) -> str:
    return line_and_stream(stream)[1].partition(":")[0]


def _outgoing(delivery: Delivery) -> Outgoing:
    line, name = line_and_stream(delivery.stream)
    topic, _, camera = name.partition(":")
    return Outgoing(
        topic=topic,
        line=line,
        key=line if topic == Topic.INSPECTIONS else camera,
        message_id=delivery.message_id,
        at_ms=int(delivery.entry_id.split("-")[0]),
        data=delivery.data,
    )
