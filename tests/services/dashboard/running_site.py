"""A site as its supervisor reports it, and a history with alarms: what the pages of alarms and of the system show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis

from pipeline.alarms import store
from pipeline.alarms.store import Alarm
from pipeline.alarms.values import AlarmKey, Kind, Severity
from pipeline.config import RaylineConfig
from pipeline.history.database import Database, open_database
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import metadata
from pipeline.observe.traces import FrameTrace, encoded
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import CameraReport, RelayReport, ShardReport, StageReport, StateStore, SystemReport
from pipeline.sinks.keys import TRACES
from stages.trace import Stage, Trace


def with_history(config: RaylineConfig, folder: Path) -> RaylineConfig:
    """The same, with its history in this folder."""
    return config.model_copy(update={"history": HistorySettings(data_dir=folder)})


@contextmanager
def history(folder: Path) -> Iterator[Database]:
    database = open_database(f"sqlite+pysqlite:///{folder / 'history.sqlite'}")
    metadata.create_all(database.engine)
    try:
        yield database
    finally:
        database.close()


def raise_alarms(database: Database) -> tuple[Alarm, Alarm]:
    """A blind camera of l1 and too many rejects on l2 now; the same camera, an hour ago, for 95 s."""
    now_ms = round(time.time() * 1e3)
    blind = AlarmKey(Kind.CAMERA_BLIND, "l1", "a")
    with database.write() as connection:
        store.raise_alarm(connection, blind, Severity.CRITICAL, "no sight for 10 s: frozen", now_ms - 3_600_000)
        store.clear_alarm(connection, blind, now_ms - 3_505_000)
        first = store.raise_alarm(
            connection, blind, Severity.CRITICAL, "no sight for 12 s: reconnecting: no route to host", now_ms - 125_000
        )
        second = store.raise_alarm(
            connection,
            AlarmKey(Kind.REJECT_RATE, "l2"),
            Severity.WARNING,
            "7.5 % of 120 parts rejected in 30 min, limit 5 %",
            now_ms - 7_500_000,
        )
    assert first is not None
    assert second is not None
    return first, second


async def publish(client: Redis, config: RaylineConfig) -> None:
    """What is desired, what is reported, and traces, as a running Rayline has them in Redis."""
    now = time.time()
    await DesiredStore(client).publish(config)
    cameras = [
        CameraReport(camera=name, line=line, station=name, state=state, since=now - 60, waiting=waiting)
        for name, line, state, waiting in (
            ("a", "l1", "running", 0),
            ("b", "l1", "running", 12),
            ("c", "l2", "failed", 0),
        )
    ]
    its = {"model": "bottles", "batch_most": 8, "in_flight_most": 3}
    shards = [
        ShardReport(
            shard="s-1", state="running", cameras=("a", "b"), in_flight=2, batch_frames=3.5, batches_per_s=8.1, **its
        ),
        ShardReport(
            shard="s-2",
            state="resting",
            cameras=("c",),
            restarts=4,
            last_error="ActorDied: rtsp://u:hunter2@h/x",
            **its,
        ),
    ]
    stages = [
        StageReport(stage="detect-bottles", running=2, wanted=2, state="healthy"),
        StageReport(stage="preprocess", running=1, wanted=1, state="healthy"),
        StageReport(stage="track", running=1, wanted=2, state="unhealthy", message="a replica failed its check"),
    ]
    relays = [
        RelayReport(
            relay="erp",
            kind="kafka",
            address="127.0.0.1:9092",
            state="running",
            relayed={"inspections": 5},
            behind=37,
            behind_s=4.2,
        )
    ]
    report = SystemReport(
        at=now,
        started_at=now - 7500,
        desired_version=1,
        cameras=tuple(cameras),
        shards=tuple(shards),
        relays=tuple(relays),
        stages=tuple(stages),
    )
    await StateStore(client).write(report)
    own = Trace(now - 0.2).then(Stage.DECODE, now - 0.18, "ingest s-1").then(Stage.QUEUE, now - 0.15, "ingest s-1")
    road = Trace(now - 0.15).then(Stage.PREPROCESS, now - 0.14, "preprocess").then(Stage.INFER, now - 0.1, "detect")
    road = road.then(Stage.TRACK, now - 0.09, "track").then(Stage.PUBLISH, now - 0.088, "track")
    await client.xadd(TRACES, {"data": encoded([FrameTrace("a", "s-1", 1, 7, own, road)])})
    await _inspect(client, "rayline:{l1}:inspections")


async def _inspect(client: Redis, stream: str) -> None:
    """One message that the history has written, and three that it has not."""
    first = await client.xadd(stream, {"data": "{}"})
    await client.xgroup_create(stream, "history", id="0")
    await client.xreadgroup("history", "history", {stream: ">"})
    await client.xack(stream, "history", str(first, "ascii") if isinstance(first, bytes) else str(first))
    for _ in range(3):
        await client.xadd(stream, {"data": "{}"})
