"""What a shard is told of its cameras."""

from pipeline.orchestrate.plan import plan_shards
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
