"""Exactly once into Redis, case by case: every fault at every step of a short run, and every pair of them.

A reader of a file or a topic sends six frames in batches of two, and their end, to track replicas that write to a real
Redis. Whatever befalls them, what stands there in the end is what an undisturbed run leaves.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pytest
from redis.asyncio import Redis

from pipeline.answers import BatchAnswer, Gap, Outcome
from pipeline.deployments.camera_road import Seen
from pipeline.deployments.track import TrackDeployment
from pipeline.ingest import shard as shards
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.carrier import CarrierSettings
from pipeline.ingest.graph import GraphUnavailable
from pipeline.ingest.numbering import StoredPlace
from pipeline.ingest.shard import CameraTask, Shard
from pipeline.observe.metrics import Metrics, NullMeter
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from stages.values import CameraId, Detected, EndOfStream, FrameBatch, LineId, Position
from tests.redis_server import RedisServer
from tests.services.redis.gate import Gate, gate
from tests.unit.deployments.test_tracked_camera import CAM, FILE, MODEL, camera, seen

pytestmark = pytest.mark.services

FRAMES, BATCH = 6, 2
STEPS = FRAMES // BATCH + 2  # deliveries of an undisturbed run, its end among them, and the moment behind it
ALL = (pytest.mark.slow, pytest.mark.timeout(600))
MOST_DELIVERIES = 40  # a run that takes more of them does not end


class Kind(StrEnum):
    """What befalls a delivery."""

    LOST = "the answer of Redis is lost"
    DIES_BEFORE = "the replica dies before the delivery"
    DIES_AFTER = "the replica dies when it has written, and nobody hears of it"
    MOVES = "another replica has the camera from here on"
    TWICE = "both replicas get it at once"
    BACK = "Redis is back where it stood earlier"
    BACK_SEEN = "Redis is back where it stood earlier, and the reader sees it first"


@dataclass(frozen=True)
class Fault:
    """`to`: for a Redis that goes back, how many of the run's writes it keeps."""

    at: int
    kind: Kind
    to: int = 0

    def __str__(self) -> str:
        return f"{self.kind.name}@{self.at}" + (f"->{self.to}" if self.kind in (Kind.BACK, Kind.BACK_SEEN) else "")


def faults(steps: int) -> Iterator[Fault]:
    """All that may befall one of the first deliveries."""
    for at, kind in itertools.product(range(steps), Kind):
        kept = range(at + 1) if kind in (Kind.BACK, Kind.BACK_SEEN) else (0,)
        yield from (Fault(at, kind, to) for to in kept)


def frames() -> list[Seen]:
    """A part that passes the trigger, with what each frame follows."""
    made: list[Seen] = []
    for n in range(FRAMES):
        one = seen(n, FILE, x=146.0 + 12 * n)
        follows = made[-1].frame.position if made else None
        made.append(replace(one, frame=replace(one.frame, follows=follows)))
    return made


RUN = frames()


class World:
    """Two replicas, one Redis, and what it held after each write."""

    def __init__(self, direct: RedisSettings, proxied: RedisSettings, proxy: Gate) -> None:
        self.client: Redis = connect(direct)
        self.streams = RedisStreams(direct)
        self._settings, self._proxy = proxied, proxy
        self._replicas = [self._replica(), self._replica()]
        self._name, self._lines = f"once-{uuid.uuid4().hex}", 0  # the server outlives this world
        self._dead: list[TrackDeployment] = []

    def begin(self) -> None:
        """A new line, as if nothing had ever been."""
        self._lines += 1
        self.line = f"{self._name}-{self._lines}"
        self.jobs = {CAM: replace(camera().job, line=LineId(self.line))}
        self.snapshots: list[dict[bytes, bytes]] = [{}]
        self._proxy.lose_nothing()
        for number in range(2):
            self.die(number)

    def _replica(self) -> TrackDeployment:
        made = TrackDeployment(self._settings, None, 10.0, {}, metrics=Metrics(NullMeter()))
        return made

    def die(self, number: int) -> None:
        """Another takes its place, which knows nothing; only the connection is kept, for speed."""
        before, self._replicas[number] = self._replicas[number], self._replica()
        self._replicas[number]._redis._link = before._redis._link

    def lose_an_answer(self) -> None:
        self._proxy.lose_the_answer_to(b"EVALSHA")

    async def deliver(self, number: int, first: int, *, ends: bool) -> Any:
        """The batch that begins with this frame, or the end behind the last one."""
        some = RUN[first : first + BATCH]
        detected = Detected(tuple(s.found for s in some), tuple(s.stats for s in some), MODEL) if some else None
        over = () if some or not ends else (EndOfStream(CAM, FRAMES - 1, "over", RUN[-1].frame.position),)
        batch = FrameBatch("shard", 0, tuple(s.frame for s in some), over)
        return (await self.call(number, batch, detected, {})).cameras[CAM]

    async def call(
        self, number: int, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]
    ) -> BatchAnswer:
        return await self._replicas[number](batch, detected, self.jobs, excused)

    # What Redis holds

    async def place(self) -> int:
        """The frame at the stored cursor; -1: none."""
        cursor = await self.client.hget(camera_keys(self.line, CAM).cursor, "cursor")  # type: ignore[misc]
        return -1 if cursor is None else Position.decode(cursor.decode()).minor

    async def remember(self) -> None:
        """Keep what stands there, if it is more than before."""
        held = {}
        for key in camera_keys(self.line, CAM):
            if (dumped := await self.client.dump(key)) is not None:
                held[key.encode()] = dumped
        if held != self.snapshots[-1]:
            self.snapshots.append(held)

    async def roll_back(self, writes: int) -> None:
        """As after a failover to a replica that lagged."""
        del self.snapshots[writes + 1 :]
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.delete(*camera_keys(self.line, CAM))
            for key, dumped in self.snapshots[-1].items():
                pipe.restore(key, 0, dumped)
            await pipe.execute()

    async def stands(self) -> tuple[list[Any], list[Any]]:
        """The frames with their track ids, and the verdicts, as a reader finds them."""
        keys = camera_keys(self.line, CAM)
        detections = [orjson.loads(e[b"data"]) for _, e in await self.client.xrange(keys.detections)]
        verdicts = [orjson.loads(e[b"data"]) for _, e in await self.client.xrange(keys.inspections)]
        return (
            [(d["seq"], d["message_id"], [o["id"] for o in d["objects"]]) for d in detections],
            [(v["message_id"], v["verdict"], v["reasons"], v["votes"], v["box"]) for v in verdicts],
        )

    async def close(self) -> None:
        for replica in self._replicas:
            await replica._redis.close()
        await self.streams.close()
        await self.client.aclose()


class Reader:
    """Sends its frames as a shard does: again after a conflict, from where Redis stands when it is sent back.

    `ends`: it reads a file; else a topic, in which no more comes.
    """

    def __init__(self, world: World, replica: int = 0, first: int = 0, *, ends: bool = True) -> None:
        self.replica = replica
        self._world = world
        self._next = first
        self._ends = ends
        self._is_over = False

    async def step(self, fault: Fault | None = None) -> bool:
        """One delivery; False when there is no more to do."""
        world = self._world
        kind = fault.kind if fault is not None else None
        if kind is Kind.DIES_BEFORE:
            world.die(self.replica)
        elif kind is Kind.MOVES:
            self.replica = 1 - self.replica
        elif fault is not None and kind in (Kind.BACK, Kind.BACK_SEEN):
            await world.roll_back(min(fault.to, len(world.snapshots) - 1))
            if kind is Kind.BACK_SEEN:
                await self.look()
        if self._is_over or (not self._ends and self._next >= FRAMES):
            return await self.look()
        if kind is Kind.LOST:
            world.lose_an_answer()
        if kind is Kind.TWICE:
            answer, _ = await asyncio.gather(*(world.deliver(n, self._next, ends=self._ends) for n in self._both()))
        else:
            answer = await world.deliver(self.replica, self._next, ends=self._ends)
        await world.remember()
        if kind is Kind.DIES_AFTER:
            world.die(self.replica)
            return True
        return await self._hear(answer.outcome)

    def _both(self) -> tuple[int, int]:
        return self.replica, 1 - self.replica

    async def _hear(self, outcome: Outcome) -> bool:
        assert outcome in (Outcome.PUBLISHED, Outcome.CONFLICT, Outcome.UNAVAILABLE, Outcome.BEHIND)
        if outcome is Outcome.BEHIND:
            self._next, self._is_over = await self._world.place() + 1, False
        elif outcome is Outcome.PUBLISHED:
            self._is_over = self._next >= FRAMES
            self._next = min(FRAMES, self._next + BATCH)
        return True

    async def look(self) -> bool:
        """Back to where Redis stands, if that is less than was published."""
        place = await self._world.place()
        if place >= self._next - 1:
            return False
        self._next, self._is_over = place + 1, False
        return True


async def run(world: World, *befall: Fault, ends: bool) -> tuple[list[Any], list[Any]]:
    """What stands in Redis when it is over."""
    world.begin()
    reader, at = Reader(world, ends=ends), {fault.at: fault for fault in befall}
    for number in range(MOST_DELIVERIES):
        if not await reader.step(at.get(number)):
            return await world.stands()
    raise AssertionError("it does not come to an end")


@asynccontextmanager
async def worlds(server: RedisServer) -> AsyncIterator[World]:
    async with gate(server.port) as proxy:
        proxied = RedisSettings(url=f"redis://127.0.0.1:{proxy.port}/0", retries=0)  # type: ignore[arg-type]
        world = World(RedisSettings(url=server.url), proxied, proxy)  # type: ignore[arg-type]
        try:
            yield world
        finally:
            await world.close()


async def wrong(world: World, cases: list[tuple[Fault, ...]], *, ends: bool) -> dict[str, Any]:
    """The cases that do not end as the undisturbed run does, and how they end."""
    expected = await run(world, ends=ends)
    assert [seq for seq, *_ in expected[0]] == list(range(FRAMES))
    assert len(expected[1]) == 1
    found: dict[str, Any] = {}
    for case in cases:
        name = ", ".join(map(str, case))
        try:
            if (left := await run(world, *case, ends=ends)) != expected:
                found[name] = left
        except Exception as exc:  # so that all of them are seen
            found[name] = repr(exc)
    return found


@pytest.mark.parametrize("ends", [pytest.param(True, id="file"), pytest.param(False, id="topic")])
async def test_one_fault_at_every_step(server: RedisServer, ends: bool) -> None:
    """55 faults."""
    async with worlds(server) as world:
        cases = [(fault,) for fault in faults(STEPS)]
        assert await wrong(world, cases, ends=ends) == {}


def pairs(steps: int) -> list[tuple[Fault, ...]]:
    """Every two faults, the second up to two deliveries later than an undisturbed run lasts."""
    return [(a, b) for a, b in itertools.product(faults(steps), faults(steps + 2)) if a.at < b.at]


@pytest.mark.parametrize("every", [pytest.param(40, id="some"), pytest.param(1, id="all", marks=ALL)])
@pytest.mark.parametrize("ends", [pytest.param(True, id="file"), pytest.param(False, id="topic")])
async def test_two_faults_at_every_two_steps(server: RedisServer, ends: bool, every: int) -> None:
    """3170 pairs, or every fortieth of them."""
    async with worlds(server) as world:
        assert await wrong(world, pairs(STEPS)[::every], ends=ends) == {}


async def overlap(world: World, order: tuple[bool, ...], begins: int, *, ends: bool) -> tuple[list[Any], list[Any]]:
    """One reader goes on as a zombie with its replica, while another has begun with the other one behind `begins`
    deliveries; then in this order (True: the zombie), until the new one has no more to do.
    """
    world.begin()
    old = Reader(world, ends=ends)
    for _ in range(begins):
        await old.step()
    new = Reader(world, 1, await world.place() + 1, ends=ends)
    for is_old in order:
        await (old if is_old else new).step()
    for _ in range(MOST_DELIVERIES):
        if not any([await new.step(), await old.step()]):
            return await world.stands()
    raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("ends", [pytest.param(True, id="file"), pytest.param(False, id="topic")])
async def test_two_readers_at_once_in_every_order(server: RedisServer, ends: bool) -> None:
    """70 + 35 + 15 + 5 orders of what two readers still have to deliver."""
    async with worlds(server) as world:
        expected = await run(world, ends=ends)
        for begins in range(STEPS - 1):
            left = STEPS - 1 - begins
            for at in itertools.combinations(range(STEPS - 1 + left), left):
                order = tuple(n in at for n in range(STEPS - 1 + left))
                assert await overlap(world, order, begins, ends=ends) == expected, (begins, order)


class FaultyGraph:
    """The road from a real shard to the replicas; detect knows what each picture shows."""

    def __init__(self, world: World, fault: Fault | None) -> None:
        self._world, self._fault = world, fault
        self._replica = self._calls = 0

    async def detect(self, batch: FrameBatch) -> Detected:
        shown = [RUN[frame.position.minor] for frame in batch.frames]
        return Detected(tuple(s.found for s in shown), tuple(s.stats for s in shown), MODEL)

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        world, fault = self._world, self._fault
        kind = fault.kind if fault is not None and fault.at == self._calls else None
        self._calls += 1
        if kind is Kind.DIES_BEFORE:
            world.die(self._replica)
        elif kind is Kind.MOVES:
            self._replica = 1 - self._replica
        elif kind is Kind.LOST:
            world.lose_an_answer()
        elif fault is not None and kind in (Kind.BACK, Kind.BACK_SEEN):
            await world.roll_back(min(fault.to, len(world.snapshots) - 1))
        if kind is Kind.TWICE:
            both = (self._replica, 1 - self._replica)
            answer, _ = await asyncio.gather(*(world.call(n, batch, detected, excused) for n in both))
        else:
            answer = await world.call(self._replica, batch, detected, excused)
        await world.remember()
        if kind is Kind.DIES_AFTER:
            world.die(self._replica)
            raise GraphUnavailable("the replica died")
        return answer

    def forget(self, batch: FrameBatch) -> None:
        pass

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        raise AssertionError(reason)


async def read_by_a_shard(world: World, fault: Fault | None, folder: Path) -> tuple[list[Any], list[Any]]:
    """What stands in Redis when a real shard has read the folder to its end."""

    async def stored_place(_camera: CameraId) -> StoredPlace | None:
        stored = await world.streams.load(CAM, world.line)
        return None if stored.cursor is None else StoredPlace(Position.decode(stored.cursor), stored.captured_at)

    world.begin()
    shard = Shard(
        "shard", False, BATCH, CarrierSettings(), FaultyGraph(world, fault), stored_place, Metrics(NullMeter())
    )
    shard.start()
    await shard.apply({CAM: CameraTask(CameraSettings(camera_id=CAM, url=str(folder), resume=True))})
    try:
        async with asyncio.timeout(60):
            while not (shard.ended() and await world.place() == FRAMES - 1):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.005)
        return await world.stands()
    finally:
        await shard.stop(30.0)
        assert shard.failure() is None


async def test_a_shard_reads_a_folder_through_one_fault_at_every_step(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "LOOK_S", 0.02)
    for number in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((200, 400, 3), np.uint8))
    async with worlds(server) as world:
        expected = await read_by_a_shard(world, None, tmp_path)
        assert [seq for seq, *_ in expected[0]] == list(range(FRAMES))
        assert len(expected[1]) == 1
        for fault in faults(STEPS):
            if fault.kind is Kind.BACK_SEEN:  # here nobody is made to see it first
                continue
            left = await read_by_a_shard(world, fault, tmp_path)
            assert [one[1:] for one in left[0]] == [one[1:] for one in expected[0]], str(fault)
            assert left[1] == expected[1], str(fault)
