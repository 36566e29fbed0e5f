"""What a shard is told of its cameras."""

from pipeline.deployments.job import Change
from pipeline.orchestrate.base_overrides import LineOverride
from pipeline.orchestrate.plan import plan_shards
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


def test_thresholds_go_with_the_job_and_into_its_hash() -> None:
    config = config_from(SITE)
    models = {"parts": config.models["parts"].model_copy(update={"min_score": 0.5})}
    (before,), (after,) = plan_shards(config).values(), plan_shards(config.with_base(config.lines, models)).values()
    for camera, job in after.jobs.items():
        assert job.thresholds == models["parts"].thresholds
        assert job.config_hash != before.jobs[camera].config_hash
        assert before.jobs[camera].is_but_for_thresholds(job)
