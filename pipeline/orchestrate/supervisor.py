"""The supervisor: a named detached actor that makes what runs equal to what is desired, and reports it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from typing import Any

import ray
from ray.exceptions import RayError
from redis.exceptions import RedisError

from pipeline.config import RaylineConfig
from pipeline.ingest.actor import IngestActor, ShardReport, ShardSpec
from pipeline.ingest.shard import CameraFigures
from pipeline.observe.logs import set_up_logs
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredStore, NothingDesired
from pipeline.orchestrate.plan import ShardPlan, plan_shards
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.orchestrate.state import ShardReport as PublishedShard
from pipeline.sinks.redis_client import connect
from stages.values import CameraId

logger = logging.getLogger(__name__)

NAMESPACE = "rayline"
SUPERVISOR = "rayline-supervisor"
READER = "rayline-ingest-"  # name of a shard's actor, before the shard's own
PERIOD_S = 1.0
CALL_TIMEOUT_S = 5.0
MISSED_BEFORE_REPLACED = 3  # reports an ingest actor may owe before it counts as dead
RATE_SAMPLES = 6  # one a round: rates over the last five seconds


@dataclass(slots=True)
class _Reader:
    """A shard's actor as the supervisor knows it."""

    actor: Any
    told: str = ""
    missed: int = 0
    restarts: int = 0
    last_error: str | None = None
    report: ShardReport | None = None
    published: deque[tuple[float, Mapping[CameraId, int]]] = field(default_factory=lambda: deque(maxlen=RATE_SAMPLES))

    def note_published(self, report: ShardReport) -> None:
        """One sample of the totals, for rates."""
        self.published.append((time.monotonic(), {f.status.camera_id: f.published for f in report.cameras}))


@ray.remote
class Supervisor:
    """Reads desired state from Redis, reconciles the ingest actors, writes reports; keeps nothing Redis has not."""

    def __init__(self, config: RaylineConfig, save: str | None) -> None:
        set_up_logs(config.observe)
        self._config = config
        self._save = save
        self._redis = connect(config.redis_settings())
        self._desired = DesiredStore(self._redis)
        self._state = StateStore(self._redis)
        self._readers: dict[str, _Reader] = {}
        self._placed: dict[CameraId, str] = {}
        self._plans: dict[str, ShardPlan] = {}
        self._started_at = time.time()
        self._last: DesiredState | None = None
        self._one_at_a_time = asyncio.Lock()
        self._is_adopted = False
        # Ray makes an async actor on its running loop; after its own death too, and then nobody calls `start`.
        self._loop = asyncio.create_task(self._run())

    async def start(self) -> None:
        """Make the config file's cameras the desired ones and bring them up. Raises what that raised."""
        await self._desired.publish(self._config)
        await self._round()

    async def all_ended(self) -> bool:
        """True when there are cameras, and each has ended for good with its last frame published."""
        reports = [reader.report for reader in self._readers.values()]
        return bool(reports) and all(r is not None and r.ended for r in reports)

    async def stop(self, timeout_s: float) -> None:
        """Stop the readers, let what is under way land, take the report back."""
        self._loop.cancel()
        await asyncio.gather(*(self._end(name, timeout_s) for name in list(self._readers)))
        try:
            await self._state.clear()
        except RedisError as exc:
            logger.warning("the last report stays in Redis until it expires: %s", exc)
        await self._redis.aclose()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self._round()
            except NothingDesired:
                continue  # the first moments of a new system: `start` is on its way
            except Exception:  # the one loop that must outlive everything; each failure is told in full
                logger.exception("a round of reconciling failed; the next is in %.0f s", PERIOD_S)

    async def _round(self) -> None:
        async with self._one_at_a_time:
            await self._reconcile()

    async def _reconcile(self) -> None:
        desired = await self._desired_now()
        if not self._is_adopted:
            await self._adopt()
        paused = {c for c in desired.config.camera_ids() if desired.is_paused(c)}
        self._plans = plan_shards(desired.config, paused, self._placed)
        self._placed = {c: plan.name for plan in self._plans.values() for c in plan.tasks}
        for name in self._readers.keys() - self._plans.keys():
            await self._end(name, CALL_TIMEOUT_S)
        await asyncio.gather(*(self._keep(plan) for plan in self._plans.values()))
        await self._publish(desired)

    async def _adopt(self) -> None:
        """Take over the readers that a supervisor before this one left running, and leave their cameras in place."""
        for named in ray.util.list_named_actors(all_namespaces=True):
            if named["namespace"] != NAMESPACE or not named["name"].startswith(READER):
                continue
            shard = named["name"].removeprefix(READER)
            reader = _Reader(ray.get_actor(named["name"], NAMESPACE))
            try:
                report: ShardReport = await asyncio.wait_for(reader.actor.report.remote(), CALL_TIMEOUT_S)
            except (RayError, TimeoutError) as exc:
                logger.warning("shard %s: its reader does not answer and is not adopted: %s", shard, exc)
                continue
            self._readers[shard] = reader
            self._placed |= {figures.status.camera_id: shard for figures in report.cameras}
        self._is_adopted = True

    async def _desired_now(self) -> DesiredState:
        """What Redis says; while it is away, what it said last."""
        try:
            self._last = await self._desired.read()
        except RedisError as exc:
            if self._last is None:
                raise
            logger.warning("Redis is away, the cameras go on as they were: %s", type(exc).__name__)
        return self._last

    async def _keep(self, plan: ShardPlan) -> None:
        """One shard: its actor lives, was told its cameras, and has reported."""
        reader = self._readers.get(plan.name) or await self._begin(plan)
        try:
            if reader.told != plan.tag:
                await asyncio.wait_for(
                    reader.actor.apply.remote(plan.tag, plan.tasks, self._jobs(plan)), CALL_TIMEOUT_S
                )
                reader.told = plan.tag
            report: ShardReport = await asyncio.wait_for(reader.actor.report.remote(), CALL_TIMEOUT_S)
            reader.missed = 0
        except (RayError, TimeoutError) as exc:
            await self._missed(plan, reader, f"{type(exc).__name__}: {exc}".splitlines()[0])
            return
        reader.report = report
        reader.note_published(report)
        if report.failure is not None:
            await self._replace(plan, reader, report.failure)

    def _jobs(self, plan: ShardPlan) -> Mapping[CameraId, Any]:
        if self._save is None:
            return plan.jobs
        first = min(self._placed)
        return {c: replace(j, annotated_to=self._save) if c == first else j for c, j in plan.jobs.items()}

    async def _begin(self, plan: ShardPlan) -> _Reader:
        """The shard's actor: the one that runs already (this supervisor may be a new one), or a new one."""
        config = self._config
        spec = ShardSpec(
            name=plan.name,
            model=plan.model,
            live=plan.live,
            max_batch=plan.max_batch,
            carrier=config.graph,
            redis=config.redis_settings(),
            observe=config.observe,
        )
        actor = IngestActor.options(  # type: ignore[attr-defined]
            name=READER + plan.name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=config.graph.ingest_cpus,
            max_concurrency=8,
        ).remote(spec)
        reader = self._readers[plan.name] = _Reader(actor)
        return reader

    async def _missed(self, plan: ShardPlan, reader: _Reader, why: str) -> None:
        reader.missed += 1
        reader.last_error = why
        dead = "ActorDied" in why or "ActorUnavailable" in why
        if dead or reader.missed >= MISSED_BEFORE_REPLACED:
            await self._replace(plan, reader, why)

    async def _replace(self, plan: ShardPlan, reader: _Reader, why: str) -> None:
        logger.warning("shard %s: its reader is replaced: %s", plan.name, why)
        ray.kill(reader.actor)
        fresh = await self._begin(plan)
        fresh.restarts, fresh.last_error = reader.restarts + 1, why

    async def _end(self, name: str, timeout_s: float) -> None:
        reader = self._readers.pop(name)
        try:
            await asyncio.wait_for(reader.actor.stop.remote(timeout_s), timeout_s + 1)
        except (RayError, TimeoutError) as exc:
            logger.warning("shard %s did not stop in %.0f s, it is killed: %s", name, timeout_s, type(exc).__name__)
        ray.kill(reader.actor)

    async def _publish(self, desired: DesiredState) -> None:
        now = time.time()
        cameras = [r for reader in self._readers.values() for r in self._camera_reports(reader, desired, now)]
        report = SystemReport(
            at=now,
            started_at=self._started_at,
            desired_version=desired.version,
            problems=dict(desired.problems),
            cameras=tuple(sorted(cameras, key=lambda c: c.camera)),
            shards=tuple(self._shard_report(name, reader, now) for name, reader in sorted(self._readers.items())),
        )
        try:
            await self._state.write(report)
        except RedisError as exc:
            logger.warning("no report this second, Redis is away: %s", type(exc).__name__)

    def _shard_report(self, name: str, reader: _Reader, now: float) -> PublishedShard:
        report = reader.report
        return PublishedShard(
            shard=name,
            state="running" if report is not None and reader.missed == 0 else "starting",
            cameras=tuple(sorted(self._plans[name].tasks)) if name in self._plans else (),
            pid=report.pid if report is not None else None,
            restarts=reader.restarts,
            last_error=reader.last_error,
            updated_at=now,
        )

    def _camera_reports(self, reader: _Reader, desired: DesiredState, now: float) -> list[CameraReport]:
        if reader.report is None:
            return []
        known = [f for f in reader.report.cameras if f.status.camera_id in desired.config.cameras]
        return [self._camera_report(reader, figures, desired, now) for figures in known]

    def _camera_report(
        self, reader: _Reader, figures: CameraFigures, desired: DesiredState, now: float
    ) -> CameraReport:
        status = figures.status
        camera_id = status.camera_id
        camera = desired.config.camera(camera_id)
        p50, p95 = _percentiles(figures.latencies_s)
        kind = desired.kind(camera_id)
        return CameraReport(
            camera=camera_id,
            line=camera.line,
            station=camera.station,
            state=status.state.value,
            since=status.since,
            url=str(camera.settings.url),
            shard=self._placed.get(camera_id, ""),
            model=camera.model_name,
            recipe=camera.recipe_name,
            health=figures.health,
            size=status.size_wh,
            fps_in=status.fps_in,
            fps_out=_rate(reader.published, camera_id),
            frames_in=status.frames_in,
            frames_out=figures.published,
            dropped=dict(figures.dropped),
            latency_ms_p50=p50,
            latency_ms_p95=p95,
            last_frame_at=status.last_frame_at,
            reconnects=status.reconnects,
            last_error=status.last_error,
            last_error_at=status.last_error_at,
            parts=dict(figures.parts),
            override=kind.value if kind is not None else None,
            updated_at=now,
        )


def start_supervisor(config: RaylineConfig, save: Path | None = None) -> Any:
    """The supervisor's handle, after its first round: cameras are being opened."""
    actor = Supervisor.options(  # type: ignore[attr-defined]
        name=SUPERVISOR,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=config.graph.supervisor_cpus,
        max_restarts=-1,
        max_concurrency=8,
    ).remote(config, None if save is None else str(save))
    ray.get(actor.start.remote(), timeout=60.0)
    return actor


def _percentiles(latencies_s: tuple[float, ...]) -> tuple[float | None, float | None]:
    if len(latencies_s) < 2:
        return None, None
    cuts = quantiles(latencies_s, n=20)
    return round(cuts[9] * 1e3, 1), round(cuts[18] * 1e3, 1)


def _rate(samples: deque[tuple[float, Mapping[CameraId, int]]], camera_id: CameraId) -> float:
    if len(samples) < 2:
        return 0.0
    (since, first), (until, last) = samples[0], samples[-1]
    return round(max(0, last.get(camera_id, 0) - first.get(camera_id, 0)) / max(1e-3, until - since), 1)
