"""The ingest actor: a Ray shell around a shard."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ray

from pipeline.deployments.job import CameraJob
from pipeline.deployments.serve_graph import ServeGraph
from pipeline.ingest.carrier import Carried, CarrierSettings
from pipeline.ingest.figures import CameraFigures, CameraTask
from pipeline.ingest.graph import Graph
from pipeline.ingest.kafka.marks import TopicMarks
from pipeline.ingest.kafka.topic_settings import TopicShare
from pipeline.ingest.numbering import StoredPlace
from pipeline.ingest.shard import Shard
from pipeline.ingest.tracing import Tracing
from pipeline.observe.logs import set_up_logs
from pipeline.observe.metrics import ray_metrics
from pipeline.observe.settings import ObserveSettings
from pipeline.sinks.redis_client import RedisLink
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from stages.values import CameraId, Position

if TYPE_CHECKING:
    from pipeline.ingest.kafka.topic_shard import TopicShard


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """What makes a shard: fixed for an actor's life. Its cameras come and go by `apply`."""

    name: str
    model: str
    fused: bool  # how the graph is cut
    live: bool
    max_batch: int
    carrier: CarrierSettings
    redis: RedisSettings
    observe: ObserveSettings
    topic: TopicShare | None = None  # None: cameras are read one by one


@dataclass(frozen=True, slots=True)
class ShardReport:
    """How a shard does, for the supervisor."""

    name: str
    pid: int
    applied: str  # the tag of the last `apply`
    cameras: tuple[CameraFigures, ...] = ()
    ended: bool = False
    failure: str | None = None
    node: str = ""  # Ray's id of the machine
    carried: Carried = field(default_factory=Carried)


@ray.remote
class IngestActor:
    """Owns one shard. Every method returns quickly; a call that is lost can be made again."""

    def __init__(self, spec: ShardSpec) -> None:
        set_up_logs(spec.observe, shard=spec.name)
        self._spec = spec
        self._applied = ""
        self._node = str(ray.get_runtime_context().get_node_id())
        self._jobs: dict[CameraId, CameraJob] = {}
        self._redis = RedisStreams(spec.redis)
        self._tracing = Tracing(spec.name, spec.observe.trace_sample)
        graph = ServeGraph(spec.name, spec.model, lambda: self._jobs, spec.fused)
        self._shard = self._shard_of(spec, graph)
        self._shard.start()  # Ray makes an async actor on its running loop
        self._following = asyncio.create_task(self._tracing.follow(self._redis.trace_sample_asked))

    def _shard_of(self, spec: ShardSpec, graph: Graph) -> Shard | TopicShard:
        if spec.topic is None:
            return Shard(
                spec.name,
                spec.live,
                spec.max_batch,
                spec.carrier,
                graph,
                self._stored_place,
                ray_metrics(),
                self._tracing,
            )
        from pipeline.ingest.kafka.topic_shard import TopicShard  # only readers of a topic need Kafka's client

        share = spec.topic
        marks = TopicMarks(RedisLink(spec.redis), share.topic, share.settings.group)
        return TopicShard(
            spec.name,
            share.topic,
            share.settings,
            spec.max_batch,
            spec.carrier,
            graph,
            marks,
            self._stored_place,
            ray_metrics(),
            first=share.first,
            tracing=self._tracing,
        )

    async def apply(self, tag: str, tasks: Mapping[CameraId, CameraTask], jobs: Mapping[CameraId, CameraJob]) -> None:
        """Make the shard's cameras equal to `tasks`; `tag` names this state and comes back in the report."""
        # Jobs of cameras that leave stay until their last frames have landed: a job is small, a shard has few.
        self._jobs = {**self._jobs, **jobs}
        await self._shard.apply(tasks)
        self._applied = tag

    async def report(self) -> ShardReport:
        """How the shard does now."""
        failure = self._shard.failure()
        return ShardReport(
            name=self._spec.name,
            pid=os.getpid(),
            applied=self._applied,
            node=self._node,
            cameras=tuple(self._shard.figures()),
            ended=self._shard.ended(),
            carried=self._shard.carried(),
            failure=None if failure is None else f"{type(failure).__name__}: {failure}",
        )

    async def stop(self, timeout_s: float) -> None:
        """Stop the cameras, let what is under way land, close."""
        self._following.cancel()
        await self._shard.stop(timeout_s)
        async with asyncio.timeout(timeout_s):
            await self._redis.close()

    async def _stored_place(self, camera_id: CameraId) -> StoredPlace | None:
        stored = await self._redis.load(camera_id, self._jobs[camera_id].line)
        return None if stored.cursor is None else StoredPlace(Position.decode(stored.cursor), stored.captured_at)
