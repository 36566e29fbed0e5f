"""Reading streams as one of a consumer group: each entry to one of its consumers, until one has acked it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.group_commands import (
    Gap,
    GroupCommands,
    Place,
    Taken,
    find_streams,
    id_before,
    id_behind,
    wait_behind,
    whole_id,
)
from pipeline.sinks.redis_client import RedisLink, RedisSettings

_BEGINNING = "0-0"
_LEAVING_S = 1.0  # nobody waits longer for a clean good-bye
_FORGOTTEN_S = 3600.0  # consumers of ended processes are known by the server until somebody removes them


@dataclass(frozen=True, slots=True)
class Delivery:
    """One stream entry given to this consumer. `data` is the message, for `stages.results.parse_message`."""

    stream: str
    entry_id: str
    message_id: str
    data: bytes
    tries: int  # 1 the first time; counts every delivery to anybody


@dataclass(frozen=True, slots=True)
class EntriesLost:
    """Entries were trimmed that this group had not done with: of the ids between both, which are not lost themselves.

    Redis 7.0 and later count what they were given: there it is told for every loss and for nothing else. Redis 6.2 does
    not: there it is told for every loss behind the group's first look, and also, rarely, where trimming ended exactly
    behind the entry the group had read last, so that nothing was lost.
    """

    stream: str
    after: str  # "0-0": the beginning
    before: str


class GroupReader:
    """One consumer of a group; knows nothing that is not on the server but what it has handed out.

    The first look of the group at a pattern begins at `start`: "0" for all that is kept, "$" for what comes from then
    on, or an entry id. Streams made later are read from their beginning. An entry not acked is given again to whoever
    reads as this consumer after a restart, or to another consumer after `claim_after_s`; to this reader only if that
    other one failed, or if Redis came back without its last second.
    """

    def __init__(
        self,
        settings: RedisSettings,
        patterns: Sequence[str],
        group: str,
        consumer: str,
        *,
        start: str = "0",
        claim_after_s: float = 30.0,
        rescan_s: float = 2.0,
        count: int = 200,
        block_s: float = 0.5,
        repeats: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count` bounds one answer for each stream, `block_s` the wait for one, and so how long leaving takes.

        `repeats` is `count` for what was given out before. With 1, what is given beside an entry that kills its
        consumers, and is not begun, is not counted as delivered each time.
        """
        # A request sent twice would be given entries twice, and those of the lost answer to nobody.
        self._link = RedisLink(settings.model_copy(update={"retries": 0}))
        self._commands = GroupCommands(self._link, group, consumer)
        self._patterns = tuple(patterns)
        self._start = whole_id(start)
        self._claim_after_ms = int(claim_after_s * 1000)
        self._forgotten_ms = int(max(_FORGOTTEN_S, 10 * claim_after_s) * 1000)
        self._rescan_s = rescan_s
        self._count = count
        self._repeats = repeats or count
        self._block_s = min(block_s, settings.answer_timeout_s / 2)  # redis-py hangs up on a later answer
        self._clock = clock

        self._scan_at = -float("inf")
        self._first_look: set[str] | None = None  # streams `start` is for; None until somebody looked
        self._places: dict[str, Place] = {}
        self._left_at: dict[str, str] = {}  # where it was in a stream whose group has vanished
        self._in_hand: defaultdict[str, set[str]] = defaultdict(set)  # handed out and not acked
        self._own: dict[str, str] = {}  # stream: read through for what was pending with this consumer up to here
        self._others: dict[str, str] = {}  # the same for what others left
        self._look_at_all = False
        self._untold: list[EntriesLost] = []

    @property
    def streams(self) -> list[str]:
        """Those it reads now."""
        return sorted(self._places)

    async def read(self) -> list[Delivery | EntriesLost]:
        """What was pending with this consumer, then what a dead one left, then what is new; [] if nothing comes.

        At most one loss at a time: who leaves at the first is told of the others when he comes back. Waits at most
        `block_s`. Raises SinkUnavailable, SinkRefused; may be called again then.
        """
        try:
            found = await self._next()
        except BaseException:
            self._own = dict.fromkeys(self._places, _BEGINNING)  # what the lost answer held is pending here now
            raise
        for each in found:
            self._in_hand[each.stream].add(each.entry_id)
        lost, self._untold = self._untold, []
        return [*lost, *found]

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """They are done with; also those that another consumer has claimed meanwhile. Raises SinkUnavailable."""
        await self._commands.ack(_by_stream(deliveries))
        self._forget(deliveries)

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """They are still worked on: nobody may claim them for another `claim_after_s`. Raises SinkUnavailable."""
        await self._commands.keep(_by_stream(deliveries))

    async def again(self, delivery: Delivery) -> Delivery | None:
        """The same entry, counted as one more delivery; None if another consumer has it now. Raises SinkUnavailable."""
        held = await self._commands.claim(delivery.stream, [delivery.entry_id], None)
        if not held:
            self._forget([delivery])
            return None
        return replace(delivery, tries=max(held[0].tries, delivery.tries + 1))

    async def release(self, begun: Sequence[Delivery], not_begun: Sequence[Delivery] = ()) -> None:
        """Leave them to whoever comes first; those not begun are not counted as delivered. Raises SinkUnavailable."""
        counted: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for each in begun:
            counted[each.stream].append((each.entry_id, each.tries))
        for each in not_begun:
            counted[each.stream].append((each.entry_id, each.tries - 1))
        await self._commands.release(list(counted.items()))
        self._forget([*begun, *not_begun])

    async def bury(self, delivery: Delivery, dead: str, maxlen: int, fields: Mapping[str, str | bytes]) -> bool:
        """Add an entry to the stream `dead` (of the same hash tag) and ack this one, both or neither.

        False if another consumer has it now: nothing was written. Raises SinkUnavailable; may be called again then.
        """
        buried = await self._commands.bury(delivery.stream, delivery.entry_id, dead, maxlen, fields)
        self._forget([delivery])
        return buried

    async def close(self) -> None:
        """Let go of the connection; may be called more than once. What is not acked stays pending."""
        places, self._places = list(self._places), {}
        try:
            with suppress(SinkUnavailable, TimeoutError):
                async with asyncio.timeout(_LEAVING_S):
                    await self._commands.leave(places, self._forgotten_ms)
        finally:
            await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _next(self) -> list[Delivery]:
        if self._untold:  # of a read that failed
            return []
        if self._clock() >= self._scan_at:
            await self._rescan()
        for through, idle_ms in ((self._own, None), (self._others, self._claim_after_ms)):
            found = await self._pending(through, idle_ms)
            if found or self._untold:
                return found
        return await self._new()

    async def _rescan(self) -> None:
        found = [await find_streams(self._link, pattern) for pattern in self._patterns]
        if self._first_look is None:
            self._first_look = await self._never_looked_at(found)
        streams = set[str]().union(*found)
        self._places = {stream: place for stream, place in self._places.items() if stream in streams}
        await self._open(sorted(streams - self._places.keys()))
        self._left_at = {}
        self._in_hand = defaultdict(set, {stream: ids for stream, ids in self._in_hand.items() if stream in streams})
        self._others = dict.fromkeys(self._places, _BEGINNING)
        self._look_at_all = True
        self._scan_at = self._clock() + self._rescan_s

    async def _never_looked_at(self, found: Sequence[set[str]]) -> set[str]:
        """The streams of those patterns of which none has the group yet."""
        streams = sorted(set[str]().union(*found))
        has = dict(zip(streams, await self._commands.has_group(streams), strict=True))
        await self._commands.leave([stream for stream in streams if has[stream]], self._forgotten_ms)
        return {stream for each in found if not any(has[stream] for stream in each) for stream in each}

    async def _open(self, streams: Sequence[str]) -> None:
        first = self._first_look or set()
        starts = [
            (stream, self._start, False) if stream in first else (stream, self._left_at.get(stream, _BEGINNING), True)
            for stream in streams
        ]
        for stream, place in zip(streams, await self._commands.open(starts), strict=True):
            if place is not None:
                self._places[stream] = place
                self._own[stream] = _BEGINNING
                first.discard(stream)

    async def _pending(self, through: dict[str, str], idle_ms: int | None) -> list[Delivery]:
        """The next of what was given out already, in the streams of `through`, which empties as they are read."""
        while through:
            pages = await self._commands.pending(through, self._repeats, idle_ms)
            for stream, ids in zip(list(through), pages, strict=True):
                if len(ids) < self._repeats:
                    del through[stream]
                else:
                    through[stream] = ids[-1]
                found = await self._claim(stream, [each for each in ids if not self._holds(stream, each)], idle_ms)
                if found or self._untold:
                    return found
        return []

    async def _claim(self, stream: str, ids: Sequence[str], idle_ms: int | None) -> list[Delivery]:
        held = await self._commands.claim(stream, ids, idle_ms)
        if gone := [each.entry_id for each in held if each.fields is None]:
            lost = self._note(EntriesLost(stream, id_before(gone[0]), id_behind(gone[-1])))
            if not await self._commands.ack([(stream, gone)]):
                self._untold.remove(lost)  # another consumer was told
        return [_delivery(stream, each.entry_id, each.fields, each.tries) for each in held if each.fields is not None]

    async def _new(self) -> list[Delivery]:
        if not self._places:
            await asyncio.sleep(self._block_s)
            return []
        if self._look_at_all:  # also at those in which nothing wakes anybody, as all that was new is lost
            self._look_at_all = False
            return await self._take(list(self._places))
        ids = {stream: place.last for stream, place in self._places.items()}
        return await self._take(await wait_behind(self._link, ids, self._block_s))

    async def _take(self, streams: Sequence[str]) -> list[Delivery]:
        answers = await self._commands.take([(stream, self._places[stream]) for stream in streams], self._count)
        found: list[Delivery] = []
        for stream, answer in zip(streams, answers, strict=True):
            match answer:
                case Taken(place, entries):
                    self._places[stream] = place
                    found += [_delivery(stream, entry_id, fields, 1) for entry_id, fields in entries]
                case Gap() if self._untold:
                    self._look_at_all = True
                case Gap():
                    await self._pass(stream, answer)
                case None:
                    self._vanished(stream)
        return found

    async def _pass(self, stream: str, gap: Gap) -> None:
        lost = self._note(EntriesLost(stream, gap.after, gap.before))
        if not await self._commands.settle(stream, gap):
            self._untold.remove(lost)  # another consumer was told

    def _vanished(self, stream: str) -> None:
        self._left_at[stream] = self._places.pop(stream).last
        self._scan_at = -float("inf")

    def _note(self, lost: EntriesLost) -> EntriesLost:
        """To be told with what is returned next, even where that is after a failure."""
        if lost not in self._untold:
            self._untold.append(lost)
        return lost

    def _holds(self, stream: str, entry_id: str) -> bool:
        return entry_id in self._in_hand.get(stream, ())

    def _forget(self, deliveries: Iterable[Delivery]) -> None:
        for each in deliveries:
            self._in_hand[each.stream].discard(each.entry_id)


def _delivery(stream: str, entry_id: str, fields: dict[bytes, bytes], tries: int) -> Delivery:
    return Delivery(stream, entry_id, fields.get(b"message_id", b"").decode(), fields.get(b"data", b""), tries)


def _by_stream(deliveries: Sequence[Delivery]) -> list[tuple[str, list[str]]]:
    by_stream: defaultdict[str, list[str]] = defaultdict(list)
    for each in deliveries:
        by_stream[each.stream].append(each.entry_id)
    return list(by_stream.items())
