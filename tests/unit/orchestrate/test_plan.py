"""What a shard is told of its cameras."""

from pipeline.deployments.job import Change
from pipeline.orchestrate.base_overrides import LineOverride
from pipeline.orchestrate.desired import camera_of_data
from pipeline.orchestrate.plan import plan_shards
from pipeline.plain import plain
from stages.values import CameraId
from tests.unit.config.site import SITE, config_from


def test_every_task_carries_the_run_it_belongs_to() -> None:
    plans = plan_shards(config_from(SITE), run_id="r1")
    assert {task.run_id for plan in plans.values() for task in plan.tasks.values()} == {"r1"}


def test_a_shard_is_told_anew_when_something_changed_and_only_then() -> None:
    config = config_from(SITE)
    (plan,), (same,) = plan_shards(config, run_id="r1").values(), plan_shards(config, run_id="r1").values()
    (paused,), (next_run,) = plan_shards(config, {"gate"}, run_id="r1").values(), plan_shards(config).values()
    assert plan.tag == same.tag
    assert len({plan.tag, paused.tag, next_run.tag}) == 3


def test_a_camera_that_is_to_be_opened_anew_is_told_so_and_its_job_stays() -> None:
    config = config_from(SITE)
    (plan,) = plan_shards(config).values()
    (again,) = plan_shards(config, restart=lambda camera: "r1" if camera == "gate" else "").values()
    assert [again.tasks[c].restart for c in sorted(again.tasks)] == ["", "", "r1"]
    assert (again.jobs, again.tag == plan.tag) == (plan.jobs, False)


def test_a_cameras_own_trigger_and_zones_go_with_its_job_and_nothing_is_opened_anew() -> None:
    config = config_from(SITE)
    area = {"name": "chute", "polygon": [[0.1, 0.1], [0.3, 0.1], [0.2, 0.4]]}
    own = {"trigger": [[0.4, 0.0], [0.4, 1.0]], "zones": [area]}
    placed = config.with_cameras(
        config.cameras | {"cam-1": camera_of_data(plain(config.cameras["cam-1"]) | own, "cam-1")}
    )
    (plan,), (again,) = plan_shards(config).values(), plan_shards(placed).values()
    job = again.jobs[CameraId("cam-1")]
    assert job.inspection is not None
    assert (job.inspection.trigger, [zone.name for zone in job.zones.zones]) == (((0.4, 0.0), (0.4, 1.0)), ["chute"])
    assert (again.tasks, again.tag == plan.tag) == (plan.tasks, False)
    assert again.jobs[CameraId("cam-2")] == plan.jobs[CameraId("cam-2")]


def test_a_line_that_changes_over_tells_its_cameras_what_came_before() -> None:
    config = config_from(SITE)
    changed = config.with_base(
        {"filling": config.lines["filling"].model_copy(update={"recipe": "watch"})}, config.models
    )
    change = LineOverride(recipe="watch", before="check", change_id="c1")
    (before,) = plan_shards(config).values()
    (plan,) = plan_shards(changed, line_change=lambda c: change if c == "cam-1" else None).values()
    job = plan.jobs[CameraId("cam-1")]
    assert (job.recipe, job.change) == ("watch", Change("c1", 10.0))
    assert job.before == before.jobs[CameraId("cam-1")]
    assert plan.jobs[CameraId("cam-2")] == before.jobs[CameraId("cam-2")]
    assert plan.tag != before.tag
    (again,) = plan_shards(changed, line_change=lambda c: change.model_copy() if c == "cam-1" else None).values()
    assert again.tag == plan.tag


def test_a_cameras_own_trigger_holds_for_what_came_before_a_change_too() -> None:
    config = config_from(SITE)
    own = plain(config.cameras["cam-1"]) | {"trigger": [[0.4, 0.0], [0.4, 1.0]]}
    placed = config.with_cameras(config.cameras | {"cam-1": camera_of_data(own, "cam-1")})
    changed = placed.with_base(
        {"filling": config.lines["filling"].model_copy(update={"recipe": "watch"})}, config.models
    )
    change = LineOverride(recipe="watch", before="check", change_id="c1")
    (before,) = plan_shards(placed).values()
    (plan,) = plan_shards(changed, line_change=lambda c: change if c == "cam-1" else None).values()
    assert plan.jobs[CameraId("cam-1")].before == before.jobs[CameraId("cam-1")]


def test_thresholds_go_with_the_job_and_into_its_hash() -> None:
    config = config_from(SITE)
    models = {"parts": config.models["parts"].model_copy(update={"min_score": 0.5})}
    (before,), (after,) = plan_shards(config).values(), plan_shards(config.with_base(config.lines, models)).values()
    for camera, job in after.jobs.items():
        assert job.thresholds == models["parts"].thresholds
        assert job.config_hash != before.jobs[camera].config_hash
        assert before.jobs[camera].is_but_for_thresholds(job)
