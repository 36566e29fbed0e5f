"""What the supervisor's report says of cameras and shards, out of what readers told."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from pipeline.answers import InForce
from pipeline.ingest.actor import ShardReport
from pipeline.ingest.camera_state import CameraState, CameraStatus
from pipeline.ingest.carrier import Carried
from pipeline.ingest.figures import CameraFigures
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.plan import plan_shards
from pipeline.orchestrate.reader import Reader
from pipeline.orchestrate.report import system_report
from pipeline.orchestrate.stage_watch import StageWatch
from pipeline.orchestrate.state import StageReport, SystemReport
from stages.values import CameraId
from tests.unit.config.site import SITE, config_from

NOW = 1_800_000_000.0


def figures(camera: str, state: CameraState = CameraState.RUNNING, published: int = 0) -> CameraFigures:
    return CameraFigures(CameraStatus(CameraId(camera), state, NOW - 60), published, {}, (0.1, 0.2, 0.3))


def reported(*told: tuple[CameraFigures, ...]) -> SystemReport:
    """The report of a site with one shard, whose reader told these figures one after another."""
    config = config_from(SITE)
    plans = plan_shards(config)
    (name,) = plans
    reader = Reader(object())
    for cameras in told:
        reader.note(ShardReport(name, 7, plans[name].tag, cameras))
    placed = {CameraId(camera): name for camera in config.cameras}
    return system_report({name: reader}, plans, placed, DesiredState(config, config, 3), NOW - 99, NOW)


@pytest.mark.parametrize(
    ("state", "health"),
    [
        (CameraState.RUNNING, "ok"),
        (CameraState.ENDED, "ok"),
        (CameraState.CONNECTING, "stale"),
        (CameraState.RECONNECTING, "stale"),
        (CameraState.FAILED, "stale"),
        (CameraState.PAUSED, "stale"),
    ],
)
def test_the_last_picture_of_a_camera_that_gives_none_is_not_its_health(state: CameraState, health: str) -> None:
    name = sorted(config_from(SITE).cameras)[0]
    (camera,) = reported((figures(name, state),)).cameras
    assert (camera.state, camera.health) == (state.value, health)


def test_cameras_come_by_name_and_those_no_longer_wanted_not_at_all() -> None:
    names = sorted(config_from(SITE).cameras)
    report = reported(tuple(figures(name) for name in [*reversed(names), "gone"]))
    assert [camera.camera for camera in report.cameras] == names
    assert {camera.latency_ms_p50 for camera in report.cameras} == {200.0}


def test_a_reader_that_told_nothing_yet_is_a_starting_shard_with_its_cameras() -> None:
    report = reported()
    (shard,) = report.shards
    assert (shard.state, shard.pid, report.cameras) == ("starting", None, ())
    assert list(shard.cameras) == sorted(config_from(SITE).cameras)


def test_the_recipe_in_force_is_told_and_the_one_that_waits_beside_it() -> None:
    names = sorted(config_from(SITE).cameras)  # cam-1: check, cam-2 and gate: watch
    first, second, third = (figures(name) for name in names)
    told = (
        replace(first, in_force=InForce("watch", "h", "c1", refused="no class 'jar'")),
        replace(second, in_force=InForce("watch", "h")),
        third,
    )
    cam_1, cam_2, gate = reported(told).cameras
    assert (cam_1.recipe, cam_1.recipe_desired, cam_1.recipe_refused) == ("watch", "check", "no class 'jar'")
    assert cam_1.change_id == "c1"
    assert (cam_2.recipe, cam_2.recipe_desired, cam_2.recipe_refused) == ("watch", None, None)
    assert (gate.recipe, gate.recipe_desired) == ("watch", None)  # nobody answered yet: what is desired


def test_a_shard_tells_how_full_its_batches_were_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_from(SITE)
    plans = plan_shards(config)
    (name,) = plans
    reader, clock = Reader(object()), iter((100.0, 100.0, 105.0, 105.0))
    monkeypatch.setattr("pipeline.orchestrate.reader.time.monotonic", lambda: next(clock))
    for carried in (Carried(10, 20, 1), Carried(30, 90, 2)):
        reader.note(ShardReport(name, 7, plans[name].tag, carried=carried))
    report = system_report({name: reader}, plans, {}, DesiredState(config, config, 3), NOW - 99, NOW)
    (shard,) = report.shards
    assert (shard.batches_per_s, shard.batch_frames, shard.in_flight) == (4.0, 3.5, 2)
    assert (shard.model, shard.batch_most) == ("parts", plans[name].max_batch)
    assert shard.in_flight_most == config.graph.max_in_flight


async def test_stages_are_asked_beside_the_rounds_and_old_news_is_none() -> None:
    now = [0.0]
    updating = StageReport(stage="track", running=1, wanted=2, state="updating")
    answers: list[RuntimeError | list[StageReport]] = [[updating], RuntimeError("no Serve")]
    release = threading.Event()

    def ask() -> list[StageReport]:
        release.wait(10)
        answer = answers.pop(0)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    async def asked(watch: StageWatch) -> None:
        assert watch._asking is not None
        await asyncio.wait([watch._asking])
        watch.look()

    watch = StageWatch(ask, lambda: now[0])
    watch.look()
    assert watch.reports() == ()
    release.set()
    await asked(watch)
    assert watch.reports() == (updating,)
    now[0] = 6.0
    watch.look()
    await asked(watch)
    assert watch.reports() == (updating,)
    now[0] = 21.0
    assert watch.reports() == ()


async def test_whatever_the_question_of_stages_raises_stops_no_round_and_is_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    healthy = StageReport(stage="track", running=2, wanted=2, state="healthy")
    answers: list[KeyError | list[StageReport]] = [KeyError("running"), KeyError("running"), [healthy]]

    def ask() -> list[StageReport]:
        answer = answers.pop(0)
        if isinstance(answer, KeyError):
            raise answer
        return answer

    watch = StageWatch(ask, lambda: now[0])
    for now[0] in (0.0, 6.0, 12.0):
        watch.look()
        assert watch._asking is not None
        await asyncio.wait([watch._asking])
    watch.look()
    assert watch.reports() == (healthy,)
    (record,) = caplog.records  # the same is told once
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
