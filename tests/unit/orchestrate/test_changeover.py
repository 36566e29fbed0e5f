"""What is told of a line's change of recipe once the config file says something else."""

from __future__ import annotations

import pytest

from pipeline.orchestrate.base_overrides import BaseOverrides, LineOverride
from pipeline.orchestrate.changeover import Changeover, changeover_of
from pipeline.orchestrate.desired import merge
from pipeline.orchestrate.plan import plan_shards
from pipeline.orchestrate.state import CameraReport, SystemReport
from stages.values import CameraId
from tests.unit.config.site import SITE, config_from

CAM = CameraId("cam-1")


def told_of(override: LineOverride, site: str = SITE) -> Changeover:
    """Of line `filling`, by file of recipe `check`, where its camera works by all that it is told."""
    desired = merge(config_from(site), {}, base=BaseOverrides({"filling": override}))
    (plan,) = plan_shards(desired.config, line_change=desired.line_change).values()
    job = plan.jobs[CAM]
    change_id = job.change.change_id if job.change is not None else ""
    works = CameraReport(
        camera=CAM, line="filling", station="s", state="running", since=1.0, recipe=job.recipe, change_id=change_id
    )
    return changeover_of(desired, SystemReport(at=1.0, started_at=0.0, cameras=(works,)), "filling")


def test_a_change_is_told_with_what_was_before() -> None:
    told = told_of(LineOverride(recipe="watch", before="check", change_id="c1"))
    assert (told.before, told.to, told.change_id, told.state) == ("check", "watch", "c1", "done")


def test_a_change_back_to_the_files_recipe_is_one_too() -> None:
    told = told_of(LineOverride(before="watch", to="check", change_id="c2"))
    assert (told.before, told.to, told.change_id, told.state) == ("watch", "check", "c2", "done")


@pytest.mark.parametrize(
    "override",
    [
        pytest.param(LineOverride(recipe="guard", before="check", change_id="c1"), id="its recipe is in no file now"),
        pytest.param(LineOverride(before="check", change_id="c2"), id="the file says by now what was before it"),
        pytest.param(LineOverride(before="guard", to="watch", change_id="c2"), id="the file says a third by now"),
    ],
)
def test_a_change_that_the_file_overtook_is_none(override: LineOverride) -> None:
    told = told_of(override)
    assert (told.before, told.to, told.change_id, told.asked_at) == ("check", "check", "", None)
    assert told.state == "done"
