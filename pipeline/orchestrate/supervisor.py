"""The supervisor: a named detached actor that makes what runs equal to what is desired, and reports it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray._private import state as ray_state  # the public list of jobs needs Ray's dashboard
from ray.exceptions import RayError
from redis.exceptions import RedisError

from pipeline.config import RaylineConfig
from pipeline.ingest.actor import IngestActor, ShardReport, ShardSpec
from pipeline.ingest.camera_state import CameraState
from pipeline.observe.logs import set_up_logs
from pipeline.orchestrate.audit import Author
from pipeline.orchestrate.counting import Counting
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredStore, NothingDesired
from pipeline.orchestrate.nodes import nodes_now, placed_on
from pipeline.orchestrate.plan import ShardPlan, plan_shards
from pipeline.orchestrate.reader import Reader
from pipeline.orchestrate.relay_keeper import RelayKeeper, kill_relays
from pipeline.orchestrate.report import system_report
from pipeline.orchestrate.spread import Move, Spreading
from pipeline.orchestrate.stage_watch import StageWatch
from pipeline.orchestrate.state import StateStore
from pipeline.sinks.redis_client import connect
from stages.errors import RaylineError
from stages.values import CameraId

logger = logging.getLogger(__name__)

NAMESPACE = "rayline"
SUPERVISOR = "rayline-supervisor"
READER = "rayline-ingest-"  # name of a shard's actor, before the shard's own
PERIOD_S = 1.0
CALL_TIMEOUT_S = 5.0
APPLY_TIMEOUT_S = 20.0  # cameras are stopped one after another
APPLY_WAITED_S = 1.0  # of that, in a round: the other shards' reports must not wait
REPORT_WAITED_S = 0.7  # for a report, in a round; one that comes later counts all the same
MISSED_BEFORE_REPLACED = 3  # rounds an ingest actor may owe its report before it counts as dead: some 5 s
STARTING_BEFORE_REPLACED = 15  # where it never gave one: a cluster may be long in finding it a place


class AlreadyRunning(RaylineError):
    """Another `rayline up` runs in this cluster."""


@ray.remote
class Supervisor:
    """Reads desired state from Redis, reconciles the ingest actors, writes reports; keeps nothing Redis has not."""

    def __init__(self, config: RaylineConfig, save: str | None, job: str = "") -> None:
        set_up_logs(config.observe)
        self._config = config
        self._save = save
        self._job = job
        self._redis = connect(config.redis_settings())
        self._desired = DesiredStore(self._redis)
        self._state = StateStore(self._redis)
        self._counting = Counting(connect(config.redis_settings()))
        self._relays = RelayKeeper(config)
        self._stages = StageWatch()
        self._spreading = Spreading(config.graph.ingest_cpus)
        self._readers: dict[str, Reader] = {}
        self._placed: dict[CameraId, str] = {}
        self._plans: dict[str, ShardPlan] = {}
        self._planned: DesiredState | None = None  # that the plans are for
        self._started_at = time.time()
        self._last: DesiredState | None = None
        self._one_at_a_time = asyncio.Lock()
        self._is_adopted = False
        self._is_stopping = False  # from here on no reader is made and nothing is reported
        # Ray makes an async actor on its running loop; after its own death too, and then nobody calls `start`.
        self._loop = asyncio.create_task(self._run())

    async def start(self) -> None:
        """Make the config file's cameras the desired ones and bring them up. Raises what that raised.

        Readers that an earlier run left behind read by its configuration: they are ended.
        """
        await self._desired.publish(self._config, Author.of_this_user("up"))
        async with self._one_at_a_time:
            if self._is_stopping:
                raise RaylineError("told to stop while it started")
            if not self._is_adopted:
                await self._adopt()
                await self._end_all(CALL_TIMEOUT_S)
                await self._relays.begin()
                self._placed, self._planned = {}, None
            await self._reconcile()

    async def job(self) -> str:
        """The Ray job of the `up` that made this."""
        return self._job

    async def all_ended(self) -> bool:
        """True when there are cameras, and each has ended for good with its last frame published."""
        reports = self._settled()
        return bool(reports) and all(report.ended for report in reports)

    async def failures(self) -> Mapping[CameraId, str]:
        """Why, by camera, where every camera has failed for good; else nothing."""
        found = [figures.status for report in self._settled() for figures in report.cameras]
        if any(status.state is not CameraState.FAILED for status in found):
            return {}
        return {status.camera_id: status.last_error or "no reason is known" for status in found}

    def _settled(self) -> list[ShardReport]:
        """Every reader's report; none at all while one has not reported, or not since it was told its cameras."""
        found = [reader.report for reader in self._readers.values() if reader.report is not None]
        tags = {plan.tag for plan in self._plans.values()}
        return found if {report.applied for report in found} == tags and len(found) == len(self._readers) else []

    async def stop(self, timeout_s: float) -> None:
        """Stop the readers, let what is under way land, take the report back.

        Readers of a supervisor before this one are stopped too; that may take twice `timeout_s` where they hang.
        """
        self._is_stopping = True
        async with AsyncExitStack() as stack:
            with suppress(TimeoutError):  # a round that hangs makes no more readers, and may end beside this
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await stack.enter_async_context(self._one_at_a_time)
            self._loop.cancel()
            await self._adopt()
            await self._end_all(timeout_s)
            await self._relays.end(timeout_s)
            try:
                await self._state.clear()
            except RedisError as exc:
                logger.warning("the last report stays in Redis until it expires: %s", exc)
        await self._counting.close()
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
        self._stages.look()
        async with self._one_at_a_time:
            await self._reconcile()

    async def _reconcile(self) -> None:
        desired = await self._desired_now()
        self._counting.begin(desired.config)
        if not self._is_adopted:
            await self._adopt()
        if desired is not self._planned:
            self._plan(desired)
        gone = (
            self._readers.keys() - self._plans.keys()
        )  # at once: one that hangs must not hold the reports up for each
        await _all({name: self._end(name, CALL_TIMEOUT_S) for name in gone})
        move = await self._next_move()
        work = {name: self._keep(plan) for name, plan in self._plans.items() if move is None or name != move.shard}
        try:
            await _all(
                work | {"relays": self._keep_relays()} | ({} if move is None else {move.shard: self._move(move)})
            )
        finally:  # whatever went wrong with one shard, the others are reported
            await self._publish(desired)

    def _plan(self, desired: DesiredState) -> None:
        paused = {c for c in desired.cameras if desired.is_paused(c)}
        told = desired.run_id, desired.line_change, desired.restart_of
        self._plans = plan_shards(desired.config, paused, self._placed, *told)
        self._placed = {c: plan.name for plan in self._plans.values() for c in plan.tasks}
        self._planned = desired

    async def _next_move(self) -> Move | None:
        """A shard that is to be read by another machine; none while any reader is about to start or does not answer."""
        if self._is_stopping or not (self._config.graph.spread and self._spreading.is_due()):
            return None
        at_work = {
            name: reader for name, reader in self._readers.items() if not (reader.report and reader.report.ended)
        }
        if any(reader.state != "running" for reader in at_work.values()) or at_work.keys() - self._plans.keys():
            return None
        live = [name for name in at_work if self._plans[name].live]
        try:
            async with asyncio.timeout(REPORT_WAITED_S):
                nodes = await nodes_now()
        except (RayError, TimeoutError) as exc:  # it is looked again, and nothing else waits for it
            logger.warning("no shard moves, Ray does not tell its nodes: %s", _told(exc))
            return None
        return self._spreading.move({name: reader.node for name, reader in at_work.items()}, nodes, live)

    async def _move(self, move: Move) -> None:
        """Stopped there; the round after next starts it here."""
        logger.info("shard %s: its reader moves to node %s, which has fewer", move.shard, move.node[:8])
        reader = self._readers[move.shard]
        await self._end(move.shard, CALL_TIMEOUT_S)
        if not self._is_stopping:
            self._readers[move.shard] = reader.moving(move.node, time.monotonic())

    async def _keep_relays(self) -> None:
        if not self._is_stopping:
            await self._relays.keep()

    async def _adopt(self) -> None:
        """Take over the readers that a supervisor before this one left running, and leave their cameras in place."""
        there = {shard: actor for shard, actor in _readers_there().items() if shard not in self._readers}
        await _all({shard: self._adopt_one(shard, actor) for shard, actor in there.items()})
        self._is_adopted = True

    async def _adopt_one(self, shard: str, actor: Any) -> None:
        reader = self._readers[shard] = Reader(actor, is_adopted=True)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                report: ShardReport = await actor.report.remote()
        except (RayError, TimeoutError) as exc:  # kept all the same: it is ended or replaced as any that is silent
            logger.warning("shard %s: its reader does not answer: %s", shard, exc)
            return
        reader.note(report)
        self._placed |= {figures.status.camera_id: shard for figures in report.cameras}

    async def _desired_now(self) -> DesiredState:
        """What Redis says; while it is away, what it said last, and where it lost that, the same, put back."""
        try:
            try:
                self._last = await self._desired.read()
            except NothingDesired:
                self._last = await self._put_back()
        except RedisError as exc:
            if self._last is None:
                raise
            logger.warning("Redis is away, the cameras go on as they were: %s", type(exc).__name__)
        return self._last

    async def _put_back(self) -> DesiredState:
        """What is to run, in a Redis that came back without it. Raises NothingDesired where nothing ever was."""
        if self._last is not None:
            await self._desired.restore(self._last, Author.of_this_user("supervisor"))
        elif _is_successor():
            await self._desired.publish(self._config, Author.of_this_user("supervisor"))
        else:
            raise NothingDesired("`start` has not published the configuration yet")
        logger.warning("Redis came back without its data: the configuration is put back, the cameras go on")
        return await self._desired.read()

    async def _keep(self, plan: ShardPlan) -> None:
        """One shard: its actor lives, is told its cameras, and has reported."""
        reader = self._readers.get(plan.name)
        if self._is_stopping:
            return
        if reader is None:
            reader = self._readers[plan.name] = Reader(self._actor_of(plan))
        elif reader.actor is None:
            if time.monotonic() < reader.begin_at:
                return
            reader = self._begin_again(plan, reader)
        await self._tell(plan, reader)
        await self._hear(plan, reader)

    def _begin_again(self, plan: ShardPlan, place: Reader) -> Reader:
        reader = place.again(self._actor_of(plan, place.to_node), place.last_error)
        self._readers[plan.name] = reader
        return reader

    async def _hear(self, plan: ShardPlan, reader: Reader) -> None:
        """Take its report, or count that it owes one. It is asked once: a busy reader may answer rounds later."""
        if reader.asking is None:
            reader.asking = asyncio.ensure_future(reader.actor.report.remote())
        await asyncio.wait({reader.asking}, timeout=REPORT_WAITED_S)
        if not reader.asking.done():
            may_start = reader.report is None and not reader.is_adopted
            limit = STARTING_BEFORE_REPLACED if may_start else MISSED_BEFORE_REPLACED
            self._missed(plan, reader, "it does not report", limit)
            return
        asked, reader.asking = reader.asking, None
        try:
            report: ShardReport = asked.result()
        except (RayError, TimeoutError) as exc:
            self._missed(plan, reader, _told(exc), MISSED_BEFORE_REPLACED)
            return
        reader.note(report)
        if report.failure is not None:
            self._replace(plan, reader, report.failure)

    async def _tell(self, plan: ShardPlan, reader: Reader) -> None:
        """See that the reader is being told its cameras; slow or failed, that is no reason to replace it."""
        if reader.told != plan.tag and reader.telling is None:
            reader.telling = asyncio.create_task(self._apply(plan, reader))
        if reader.telling is not None:
            done, _ = await asyncio.wait({reader.telling}, timeout=APPLY_WAITED_S)
            for task in done:
                task.result()  # raises what was not foreseen

    async def _apply(self, plan: ShardPlan, reader: Reader) -> None:
        try:
            call = reader.actor.apply.remote(plan.tag, plan.tasks, self._jobs(plan))
            async with asyncio.timeout(APPLY_TIMEOUT_S):
                await call
            reader.told = plan.tag
        except (RayError, TimeoutError) as exc:
            reader.last_error = f"its cameras could not be set: {_told(exc)}"
            logger.warning("shard %s: %s", plan.name, reader.last_error)
        finally:
            reader.telling = None

    def _jobs(self, plan: ShardPlan) -> Mapping[CameraId, Any]:
        if self._save is None:
            return plan.jobs
        first = min(self._placed)
        return {c: replace(j, annotated_to=self._save) if c == first else j for c, j in plan.jobs.items()}

    def _actor_of(self, plan: ShardPlan, node: str = "") -> Any:
        """The shard's actor: the one that runs already (this supervisor may be a new one), or a new one, on `node`."""
        config = self._config
        spec = ShardSpec(
            name=plan.name,
            model=plan.model,
            fused=config.graph.is_fused,
            live=plan.live,
            max_batch=plan.max_batch,
            carrier=config.graph,
            redis=config.redis_settings(),
            observe=config.observe,
            topic=plan.topic,
        )
        return IngestActor.options(  # type: ignore[attr-defined]
            name=READER + plan.name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=config.graph.ingest_cpus,
            max_concurrency=8,
            scheduling_strategy=placed_on(node, config.graph.spread),
        ).remote(spec)

    def _missed(self, plan: ShardPlan, reader: Reader, why: str, limit: int) -> None:
        reader.missed += 1
        reader.last_error = why
        is_dead = "ActorDied" in why
        if is_dead or "ActorUnavailable" in why or reader.missed >= limit:
            self._replace(plan, reader, why, is_dead)

    def _replace(self, plan: ShardPlan, reader: Reader, why: str, is_dead: bool = False) -> None:
        logger.warning("shard %s: its reader is replaced: %s", plan.name, why)
        self._kill(reader)
        now = time.monotonic()
        place = self._readers[plan.name] = reader.resting(why, now, is_dead)
        if place.begin_at <= now and not self._is_stopping:  # a round later would be a second of its cameras lost
            self._begin_again(plan, place)

    def _kill(self, reader: Reader) -> None:
        for call in (reader.telling, reader.asking):
            if call is not None:
                call.cancel()
        ray.kill(reader.actor)

    async def _end_all(self, timeout_s: float) -> None:
        await _all({name: self._end(name, timeout_s) for name in list(self._readers)})

    async def _end(self, name: str, timeout_s: float) -> None:
        reader = self._readers.pop(name)
        if reader.actor is None:
            return
        try:
            async with asyncio.timeout(timeout_s + 1):
                await reader.actor.stop.remote(timeout_s)
        except (RayError, TimeoutError) as exc:
            logger.warning("shard %s did not stop in %.0f s, it is killed: %s", name, timeout_s, type(exc).__name__)
        finally:  # nobody knows of it any more: not even a stop that comes meanwhile may leave it
            self._kill(reader)

    async def _publish(self, desired: DesiredState) -> None:
        times = self._started_at, time.time()
        beside = self._relays.reports(), self._stages.reports()
        report = system_report(self._readers, self._plans, self._placed, desired, *times, *beside)
        if self._is_stopping:
            return
        try:
            await self._state.write(report)
        except RedisError as exc:
            logger.warning("no report this second, Redis is away: %s", type(exc).__name__)


def require_alone(timeout_s: float) -> None:
    """Raises AlreadyRunning where another `up` of this cluster is alive; one that died is stopped for it."""
    try:
        left = ray.get_actor(SUPERVISOR, NAMESPACE)
    except ValueError:
        return
    try:
        job: Any = ray.get(left.job.remote(), timeout=timeout_s)
        if job != ray.get_runtime_context().get_job_id() and _is_alive(job):
            raise AlreadyRunning("another `rayline up` runs in this Ray cluster: stop it first, or use another cluster")
        ray.get(left.stop.remote(timeout_s), timeout=2 * timeout_s + 2)
    except (RayError, TimeoutError) as exc:
        logger.warning("a supervisor was left behind and does not answer, it is killed: %s", type(exc).__name__)
    ray.kill(left)
    _gone(timeout_s)


def start_supervisor(config: RaylineConfig, save: Path | None = None) -> Any:
    """The supervisor's handle; cameras come with `start`. Raises AlreadyRunning."""
    options = Supervisor.options(  # type: ignore[attr-defined]
        name=SUPERVISOR,
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=config.graph.supervisor_cpus,
        max_restarts=-1,
        max_concurrency=8,
    )
    try:
        return options.remote(config, None if save is None else str(save), ray.get_runtime_context().get_job_id())
    except ValueError as exc:  # the name is taken: two began at once
        raise AlreadyRunning(f"another `rayline up` began in this Ray cluster just now: {exc}") from exc


def kill_readers() -> None:
    """End every reader of this cluster at once: for a supervisor that could not; it must be gone itself by then."""
    for shard, actor in _readers_there().items():
        logger.warning("shard %s: its reader was left and is killed", shard)
        ray.kill(actor)
    kill_relays()


def _readers_there() -> dict[str, Any]:
    """The reader of every shard that has one, whoever made it."""
    there = {}
    for named in ray.util.list_named_actors(all_namespaces=True):
        if named["namespace"] == NAMESPACE and named["name"].startswith(READER):
            with suppress(ValueError):  # it ended just now
                there[named["name"].removeprefix(READER)] = ray.get_actor(named["name"], NAMESPACE)
    return there


def _is_successor() -> bool:
    """True in a supervisor that Ray made anew after its death: nobody calls its `start`."""
    context = ray.get_runtime_context() if ray.is_initialized() else None
    return context is not None and context.get_actor_id() is not None and context.was_current_actor_reconstructed


async def _all(work: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Do it for each shard, all at once and all to the end; raises the first failure then, the others are told."""
    outcomes = await asyncio.gather(*work.values(), return_exceptions=True)
    failures = [(name, one) for name, one in zip(work, outcomes, strict=True) if isinstance(one, BaseException)]
    for name, failure in failures[1:]:
        logger.error("shard %s: %s", name, _told(failure), exc_info=failure)
    if failures:
        raise failures[0][1]


def _is_alive(job: str) -> bool:
    return any(one["JobID"] == job and not one.get("IsDead") for one in ray_state.jobs())  # type: ignore[no-untyped-call]


def _gone(timeout_s: float) -> None:
    """Wait until the name is free."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            ray.get_actor(SUPERVISOR, NAMESPACE)
        except ValueError:
            return
        time.sleep(0.05)


def _told(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}".splitlines()[0]
