"""How far each partition of a topic was read, in Redis: from there a reader goes on, whoever read before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack

from pipeline.sinks.redis_client import RedisLink
from stages.values import CameraId, Position


@dataclass(frozen=True, slots=True)
class PartitionId:
    """A partition, and which of the topics of that name it is of: one that was deleted and made anew is another."""

    topic: str
    partition: int
    generation: int = 0

    @property
    def source(self) -> str:
        """The `source` of its frames' positions."""
        made_anew = f".{self.generation}" if self.generation else ""
        return f"kafka:{self.topic}/{self.partition}{made_anew}"

    @property
    def key(self) -> CameraId:
        """What the batcher calls its hand-over."""
        return CameraId(f"{self.topic}/{self.partition}")

    def position(self, offset: int, sub: int) -> Position:
        """Where a picture stands."""
        return Position(self.source, offset, sub)


@dataclass(frozen=True, slots=True)
class CameraMark:
    """One camera in a partition: its last picture that is done, and where decoding may begin for the next."""

    offset: int
    sub: int
    keyframes: tuple[int, ...]  # offsets of the last ones, rising; none: each message stands alone
    seen_at: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class PartitionMark:
    """Every message before `offset` is done. `began`: where this partition was first read."""

    offset: int
    began: int
    generation: int = 0
    cameras: Mapping[CameraId, CameraMark] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As bytes, for Redis."""
        cameras = {c: (m.offset, m.sub, m.keyframes, m.seen_at) for c, m in self.cameras.items()}
        data: bytes = msgpack.packb((1, self.offset, self.began, self.generation, cameras))
        return data

    @classmethod
    def decode(cls, data: bytes) -> PartitionMark:
        """Inverse of `encode`. Raises ValueError for what another version, or anybody else, wrote."""
        found = msgpack.unpackb(data)
        if not isinstance(found, list) or not found or found[0] != 1:
            raise ValueError(f"a mark of another version than this Rayline's, which is 1: {str(found)[:40]}")
        _, offset, began, generation, cameras = found
        return cls(
            offset,
            began,
            generation,
            {CameraId(c): CameraMark(o, s, tuple(k), at) for c, (o, s, k, at) in cameras.items()},
        )


@dataclass(frozen=True, slots=True)
class Resume:
    """From where a partition is read on, so that what Redis holds is not made again, and what it lost is."""

    mark: PartitionMark  # its offset: the first message that is new
    places: Mapping[CameraId, Position]  # of its cameras, how far they are published
    decode_from: Mapping[CameraId, int]  # of cameras with coded video: the keyframe that what is new builds on

    @property
    def read_from(self) -> int:
        """The first message that is needed."""
        return min([self.mark.offset, *self.decode_from.values()])


def moved(marks: Mapping[int, PartitionMark]) -> dict[int, frozenset[CameraId]]:
    """By partition, the cameras of its mark that another one's mark saw later: they come there now."""
    newest: dict[CameraId, float] = {}
    for mark in marks.values():
        for camera_id, its in mark.cameras.items():
            newest[camera_id] = max(newest.get(camera_id, its.seen_at), its.seen_at)
    return {
        number: frozenset(c for c, its in mark.cameras.items() if its.seen_at < newest[c])
        for number, mark in marks.items()
    }


def resume(
    mark: PartitionMark,
    identity: PartitionId,
    stored: Mapping[CameraId, Position | None],
    moved_on: frozenset[CameraId] = frozenset(),
) -> Resume:
    """How to go on from `mark` where Redis holds `stored`. What it holds less than the mark says, it has lost.

    Nothing is read again for a camera that is not in `stored`: it is no camera of this topic any more, or not to be
    asked after, and then keeps its mark. Nor for one of `moved_on`, which the partition it came to looks after; it
    leaves the mark.
    """
    mark = replace(mark, cameras={c: its for c, its in mark.cameras.items() if c not in moved_on})
    places = {c: place for c, place in stored.items() if place is not None and place.source == identity.source}
    offset = mark.offset
    for camera_id, its in mark.cameras.items():
        if camera_id not in stored:
            continue
        place = places.get(camera_id)
        if place is None:
            offset = min(offset, mark.began)
        elif place < identity.position(its.offset, its.sub):
            offset = min(offset, place.major)
    decode_from = {
        camera_id: max([k for k in its.keyframes if k <= places[camera_id].major], default=mark.began)
        for camera_id, its in mark.cameras.items()
        if its.keyframes and camera_id in places
    }
    kept = {c: its for c, its in mark.cameras.items() if c in places or c not in stored}
    return Resume(replace(mark, offset=offset, cameras=kept), places, decode_from)


class TopicMarks:
    """The marks of one topic for one group. Every call raises SinkUnavailable where Redis is away."""

    def __init__(self, link: RedisLink, topic: str, group: str) -> None:
        self._link = link
        self._key = f"rayline:topic:{{{topic}}}:{group}"

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._link.close()

    async def load(self) -> dict[int, PartitionMark]:
        """By partition; empty where the group never read."""
        async with self._link.use() as client:
            found: Any = await client.hgetall(self._key)
        return {int(partition): PartitionMark.decode(data) for partition, data in found.items()}

    async def store(self, marks: Mapping[int, PartitionMark]) -> None:
        """Put these in place of what stood there; others stay."""
        if not marks:
            return
        mapping: Any = {str(partition): mark.encode() for partition, mark in marks.items()}
        async with self._link.use() as client:
            await client.hset(self._key, mapping=mapping)
