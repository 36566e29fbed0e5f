"""What one consumer brings: a message that its client cannot parse is left out, and ends nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError, KafkaError

logger = logging.getLogger(__name__)

POLL_S = 0.2
MOST_RECORDS = 500
SAY_S = 60.0
_NOBODY = -1  # a partition that is none: to wait, and to be counted as alive, without taking anything

Records = dict[TopicPartition, list[Any]]


class Poll:
    """Takes records. One that cannot be parsed is an error of the whole client, which does not say whose it is.

    So all that were asked go back to where they stood, and their next records are taken one by one: the partition at
    fault then stands at the message it stumbles over, and is sent one on.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._careful: dict[TopicPartition, int] = {}  # how many more are taken one by one
        self._unsaid: dict[TopicPartition, int] = {}  # left out since the log told
        self._say_from: dict[TopicPartition, float] = {}

    async def take(self, partitions: Iterable[TopicPartition]) -> Records:
        """What came of these, within POLL_S. Raises KafkaError, with nothing taken."""
        asked = list(partitions)
        found: Records = {}
        try:
            for tp in asked:
                if tp in self._careful:
                    found |= await self._one(tp)
            rest = [tp for tp in asked if tp not in self._careful]
            found |= await self._all(rest, 0.0 if found else POLL_S)
        except KafkaError:
            if not found:  # else it is raised anew by the next
                raise
        return found

    async def _all(self, partitions: Sequence[TopicPartition], timeout_s: float) -> Records:
        stood = {tp: offset for tp in partitions if (offset := await self._position(tp)) is not None}
        asked = partitions or [TopicPartition("", _NOBODY)]
        try:
            found: Records = await self._consumer.getmany(
                *asked, timeout_ms=round(timeout_s * 1000), max_records=MOST_RECORDS
            )
        except (UnicodeDecodeError, CorruptRecordException) as exc:
            if not _is_unreadable(exc):
                raise
            for tp, offset in stood.items():
                self._careful[tp] = MOST_RECORDS
                self._seek(tp, offset)
            return {}
        return found

    async def _one(self, tp: TopicPartition) -> Records:
        try:
            found: Records = await self._consumer.getmany(tp, max_records=1)
        except (UnicodeDecodeError, CorruptRecordException) as exc:
            if not _is_unreadable(exc):
                raise
            await self._leave_out(tp)
            return {}
        if found:
            self._careful[tp] -= 1
            if self._careful[tp] <= 0:
                del self._careful[tp]
        return found

    async def _leave_out(self, tp: TopicPartition) -> None:
        self._careful[tp] = MOST_RECORDS  # those of the same batch behind it cannot be read either
        if (offset := await self._position(tp)) is not None:
            self._seek(tp, offset + 1)
            self._say(tp, offset)

    def _say(self, tp: TopicPartition, offset: int) -> None:
        """The first at once, then once a minute with how many there were: a flood must not fill the log."""
        self._unsaid[tp] = self._unsaid.get(tp, 0) + 1
        now = time.monotonic()
        if now < self._say_from.get(tp, 0.0):
            return
        self._say_from[tp] = now + SAY_S
        logger.error(
            "partition %s/%d: %d more messages cannot be read and are left out, the last is offset %d: in its batch is "
            "a header whose name is no UTF-8; mend its producer", tp.topic, tp.partition, self._unsaid.pop(tp), offset,
        )  # fmt: skip

    async def _position(self, tp: TopicPartition) -> int | None:
        """None where it went meanwhile."""
        try:
            offset: int = await self._consumer.position(tp)
        except IllegalStateError:
            return None
        return offset

    def _seek(self, tp: TopicPartition, offset: int) -> None:
        try:
            self._consumer.seek(tp, offset)
        except IllegalStateError:
            logger.debug("partition %d went while it was read", tp.partition)


def _is_unreadable(exc: Exception) -> bool:
    """True for a header's name that is no UTF-8; the client without its compiled part wraps that error."""
    return isinstance(exc, UnicodeDecodeError) or isinstance(exc.__cause__, UnicodeDecodeError)
