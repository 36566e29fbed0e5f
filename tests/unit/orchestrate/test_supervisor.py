"""What the supervisor takes for a dead reader, and what it waits for, with readers that are plain objects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from pipeline.ingest.actor import ShardReport
from pipeline.orchestrate import supervisor as module
from pipeline.orchestrate.plan import ShardPlan, plan_shards
from pipeline.orchestrate.reader import Reader
from pipeline.orchestrate.spread import Move, Node
from tests.unit.config.site import SITE, config_from


@dataclass
class Remote:
    """An actor's method as Ray offers it."""

    answer: Callable[..., Coroutine[Any, Any, Any]]

    def remote(self, *arguments: Any) -> Coroutine[Any, Any, Any]:
        return self.answer(*arguments)


@dataclass
class FakeActor:
    """Applies when it is let, reports when it is let, or raises."""

    may_apply: asyncio.Event = field(default_factory=asyncio.Event)
    may_report: asyncio.Event | None = None
    raises: type[Exception] | None = None
    applied: str = ""

    @property
    def apply(self) -> Remote:
        async def answer(tag: str, *_: Any) -> None:
            await self.may_apply.wait()
            self.applied = tag

        return Remote(answer)

    @property
    def stop(self) -> Remote:
        async def answer(_: float) -> None:
            return None

        return Remote(answer)

    @property
    def report(self) -> Remote:
        async def answer() -> ShardReport:
            if self.raises is not None:
                raise self.raises
            if self.may_report is not None:
                await self.may_report.wait()
            return ShardReport("s", 1, self.applied, ended=bool(self.applied))

        return Remote(answer)


@pytest.fixture
async def subject(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A supervisor of one shard that starts no actor and never asks Redis."""
    monkeypatch.setattr(module, "APPLY_WAITED_S", 0.001)
    monkeypatch.setattr(module, "REPORT_WAITED_S", 0.001)
    monkeypatch.setattr("ray.kill", lambda _: None)
    monkeypatch.setattr(module, "set_up_logs", lambda _: None)
    plain: Any = module.Supervisor
    made = plain.__ray_metadata__.modified_class(config_from(SITE).with_redis("redis://127.0.0.1:1"), None)
    yield made
    made._loop.cancel()
    await asyncio.gather(made._loop, return_exceptions=True)
    await made._redis.aclose()


def one_plan(subject: Any) -> ShardPlan:
    plans = subject._plans = plan_shards(config_from(SITE))
    (plan,) = plans.values()
    return plan


async def test_a_reader_slow_to_set_its_cameras_is_not_replaced(subject: Any) -> None:
    plan, actor = one_plan(subject), FakeActor()
    reader = subject._readers[plan.name] = Reader(actor)
    for _ in range(module.MISSED_BEFORE_REPLACED + 2):
        await subject._keep(plan)
    assert subject._readers[plan.name] is reader
    assert (reader.missed, reader.told) == (0, "")
    assert not await subject.all_ended()
    actor.may_apply.set()
    await subject._keep(plan)
    await subject._keep(plan)
    assert reader.told == plan.tag
    assert await subject.all_ended()


async def test_a_reader_that_cannot_set_its_cameras_says_why(subject: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "APPLY_TIMEOUT_S", 0.0)
    plan = one_plan(subject)
    reader = subject._readers[plan.name] = Reader(FakeActor())
    await subject._keep(plan)
    await subject._keep(plan)
    assert reader.missed == 0
    assert "cameras could not be set: TimeoutError" in (reader.last_error or "")


async def test_a_reader_that_owes_reports_rests_and_is_begun_again(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = FakeActor()
    monkeypatch.setattr(subject, "_actor_of", lambda *_: fresh)
    plan = one_plan(subject)
    subject._readers[plan.name] = Reader(FakeActor(raises=TimeoutError))
    for _ in range(module.MISSED_BEFORE_REPLACED):
        await subject._keep(plan)
    place = subject._readers[plan.name]
    assert place.state == "resting"
    await subject._keep(plan)
    assert subject._readers[plan.name] is place
    place.begin_at = 0.0
    await subject._keep(plan)
    again = subject._readers[plan.name]
    assert (again.actor, again.restarts, again.state) == (fresh, 1, "running")
    assert "TimeoutError" in again.last_error


async def test_a_reader_that_died_is_begun_again_in_the_same_round_and_the_round_after_next_if_it_dies_again(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = one_plan(subject)
    monkeypatch.setattr(subject, "_actor_of", lambda *_: FakeActor(raises=ActorDiedError))
    subject._readers[plan.name] = Reader(FakeActor(raises=ActorDiedError))
    await subject._keep(plan)
    again = subject._readers[plan.name]
    assert (again.state, again.restarts, again.failures) == ("starting", 1, 1)
    await subject._keep(plan)
    place = subject._readers[plan.name]
    assert (place.state, place.failures) == ("resting", 2)


async def test_a_report_that_comes_late_is_heard_and_its_reader_is_not_replaced(subject: Any) -> None:
    plan, actor = one_plan(subject), FakeActor(may_report=asyncio.Event())
    reader = subject._readers[plan.name] = Reader(actor, report=ShardReport("s", 1, ""))
    for _ in range(module.MISSED_BEFORE_REPLACED - 1):
        await subject._keep(plan)
    assert reader.missed == module.MISSED_BEFORE_REPLACED - 1
    actor.may_report.set()  # type: ignore[union-attr]
    await subject._keep(plan)
    assert subject._readers[plan.name] is reader
    assert (reader.missed, reader.state) == (0, "running")


@pytest.mark.parametrize(
    ("heard", "rounds"), [(True, module.MISSED_BEFORE_REPLACED), (False, module.STARTING_BEFORE_REPLACED)]
)
async def test_a_reader_that_stands_still_is_replaced_sooner_where_it_has_reported_before(
    subject: Any, heard: bool, rounds: int
) -> None:
    plan = one_plan(subject)
    report = ShardReport("s", 1, "") if heard else None
    reader = subject._readers[plan.name] = Reader(FakeActor(may_report=asyncio.Event()), report=report)
    for _ in range(rounds - 1):
        await subject._keep(plan)
    assert subject._readers[plan.name] is reader
    await subject._keep(plan)
    assert subject._readers[plan.name].state == "resting"
    assert "it does not report" in subject._readers[plan.name].last_error


@pytest.mark.parametrize("answers", [True, False])
async def test_a_reader_that_was_taken_over_is_not_waited_for_as_one_that_starts(
    subject: Any, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    plan = one_plan(subject)
    silent = FakeActor(may_report=asyncio.Event())
    if answers and silent.may_report is not None:
        silent.may_report.set()
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.001 if not answers else 5.0)
    monkeypatch.setattr(module, "_readers_there", lambda: {plan.name: silent})
    await subject._adopt()
    assert silent.may_report is not None
    silent.may_report.clear()
    for _ in range(module.MISSED_BEFORE_REPLACED):
        await subject._keep(plan)
    assert subject._readers[plan.name].state == "resting"


async def test_a_shard_moves_once_all_are_well_and_begins_where_it_was_sent(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two_nodes() -> dict[str, Node]:
        return {"node-a": Node(2, 1), "node-b": Node(2, 1)}

    begun_on = list[str]()

    def actor_of(_: ShardPlan, node: str = "") -> FakeActor:
        begun_on.append(node)
        return FakeActor()

    monkeypatch.setattr(module, "nodes_now", two_nodes)
    monkeypatch.setattr(subject, "_actor_of", actor_of)
    plan = one_plan(subject)
    subject._plans = {name: replace(plan, name=name) for name in ("s-1", "s-2")}
    reader = Reader(FakeActor(), report=ShardReport("s-1", 1, "", node="node-a"))
    subject._readers = {"s-1": reader, "s-2": Reader(FakeActor())}
    for _ in range(3):  # the second has not reported
        subject._spreading._look_at = 0.0
        assert await subject._next_move() is None
    subject._readers["s-2"].report = ShardReport("s-2", 2, "", node="node-a")
    subject._spreading._look_at = 0.0
    assert await subject._next_move() is None  # the nodes are looked at for the first time
    subject._spreading._look_at = 0.0
    move = await subject._next_move()
    assert move == Move("s-1", "node-b")
    await subject._move(move)
    place = subject._readers["s-1"]
    assert place.state == "moving"
    place.begin_at = 0.0
    await subject._keep(subject._plans["s-1"])
    assert begun_on == ["node-b"]
    assert subject._readers["s-1"].restarts == 0


async def test_once_it_is_told_to_stop_no_reader_is_made(subject: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_readers_there", dict)
    monkeypatch.setattr(subject, "_actor_of", lambda *_: FakeActor())
    plan = one_plan(subject)
    await subject._keep(plan)
    assert list(subject._readers) == [plan.name]
    await subject.stop(0.01)
    await subject._keep(plan)  # of a start that was still under way
    assert subject._readers == {}


async def test_a_reader_found_dead_by_a_round_that_outlives_the_stop_is_not_begun_again(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "_actor_of", lambda *_: FakeActor())
    plan, reader = one_plan(subject), Reader(FakeActor(raises=ActorDiedError))
    subject._is_stopping = True
    await subject._hear(plan, reader)
    assert subject._readers[plan.name].actor is None


async def test_it_stops_behind_the_round_that_is_under_way(subject: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_readers_there", dict)
    async with subject._one_at_a_time:
        stopping = asyncio.create_task(subject.stop(0.01))
        done, _ = await asyncio.wait({stopping}, timeout=0.05)
        assert not done
    await stopping


async def test_a_round_that_hangs_does_not_keep_it_from_stopping(subject: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_readers_there", dict)
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.01)
    async with subject._one_at_a_time:
        await subject.stop(0.01)


async def test_one_shards_failure_is_raised_when_the_others_are_done(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def works() -> None:
        await asyncio.sleep(0.01)
        done.append("works")

    async def fails(why: str) -> None:
        raise LookupError(why)

    with pytest.raises(LookupError, match="first"):
        await module._all({"a": fails("first"), "b": works(), "c": fails("second")})
    assert done == ["works"]
    assert caplog.messages == ["shard c: LookupError: second"]


class LeftBehind:
    """A supervisor that is there already, made by the job "01"."""

    def __init__(self) -> None:
        self.stopped = False

    @property
    def job(self) -> Remote:
        return Remote(lambda: "01")  # type: ignore[arg-type, return-value]

    @property
    def stop(self) -> Remote:
        def answer(timeout_s: float) -> Any:
            self.stopped = True

        return Remote(answer)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> LeftBehind:
    """The cluster holds it until it is killed; this process is the job "02"."""
    here: list[LeftBehind] = [LeftBehind()]

    def get_actor(*_: str) -> LeftBehind:
        if not here:
            raise ValueError("no such actor")
        return here[0]

    me = SimpleNamespace(get_job_id=lambda: "02")
    monkeypatch.setattr("ray.get_actor", get_actor)
    monkeypatch.setattr("ray.get", lambda answer, timeout: answer)
    monkeypatch.setattr("ray.kill", here.remove)
    monkeypatch.setattr("ray.get_runtime_context", lambda: me)
    return here[0]


@pytest.mark.parametrize(("dead", "refused"), [(False, True), (True, False)])
def test_a_second_up_is_refused_while_the_first_is_alive_and_takes_over_from_a_dead_one(
    left: LeftBehind, monkeypatch: pytest.MonkeyPatch, dead: bool, refused: bool
) -> None:
    monkeypatch.setattr("ray._private.state.jobs", lambda: [{"JobID": "01", "IsDead": dead}])
    with pytest.raises(module.AlreadyRunning, match="stop it first") if refused else nullcontext():
        module.require_alone(1.0)
    assert left.stopped is not refused
