"""From a configuration to what each shard must do: pure, and the same wherever it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.config import RaylineConfig, ResolvedCamera, config_hash
from pipeline.deployments.job import CameraJob, Change
from pipeline.ingest.camera import CameraSettings
from pipeline.ingest.figures import CameraTask
from pipeline.ingest.kafka.topic_settings import TopicShare
from pipeline.orchestrate.base_overrides import LineOverride
from pipeline.orchestrate.shards import assign, members_of
from stages.values import CameraId


@dataclass(frozen=True)  # no slots: the tag is worked out once
class ShardPlan:
    """One shard's cameras, all of one model and one kind (live, or read at our pace)."""

    name: str
    model: str
    live: bool
    max_batch: int
    tasks: Mapping[CameraId, CameraTask]
    jobs: Mapping[CameraId, CameraJob]
    topic: TopicShare | None = None  # where all of it comes in one topic

    @cached_property
    def tag(self) -> str:
        """Changes when the shard must be told anew."""
        # The address in clear: a changed password is a change, though nothing that is shown says so.
        told = [
            (c, t.settings.url.get_secret_value(), repr(t), *_stamps(self.jobs[c]))
            for c, t in sorted(self.tasks.items())
        ]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def plan_shards(
    config: RaylineConfig,
    paused: Collection[str] = (),
    previous: Mapping[CameraId, str] | None = None,
    run_id: str = "",
    line_change: Callable[[CameraId], LineOverride | None] = lambda camera_id: None,
    restart: Callable[[CameraId], str] = lambda camera_id: "",
) -> dict[str, ShardPlan]:
    """Shard name -> plan. Cameras stay where `previous` has them if they can. `run_id` is that of this `up`.

    `line_change`: the last change of the recipe that a camera takes from its line. `restart`: another text each time
    a camera's source is to be opened anew.
    """
    cameras = config.resolved()
    jobs = {c: _changed_job(config, camera, line_change(c)) for c, camera in cameras.items()}
    groups = {c: camera.shard_group for c, camera in cameras.items() if camera.settings.topic is None}
    assignment = assign(groups, config.graph.shard_size, previous)
    plans = {}
    for shard, members in members_of(assignment).items():
        first = cameras[members[0]]
        plans[shard] = ShardPlan(
            name=shard,
            model=first.model_name,
            live=first.settings.is_live,
            max_batch=min(config.graph.max_batch, first.model.max_batch),
            tasks={c: _task(cameras[c], c in paused, run_id, restart(c)) for c in members},
            jobs={c: jobs[c] for c in members},
        )
    return plans | _topic_plans(config, cameras, jobs, paused, run_id)


def _topic_plans(
    config: RaylineConfig,
    cameras: Mapping[CameraId, ResolvedCamera],
    jobs: Mapping[CameraId, CameraJob],
    paused: Collection[str],
    run_id: str,
) -> dict[str, ShardPlan]:
    """Every reader of a topic is told all its cameras: which partition brings them is Kafka's to say."""
    plans = {}
    for name, members in config.topics_in_use().items():
        settings, first = config.topics[name], cameras[members[0]]
        for number in range(1, settings.readers + 1):
            shard = f"kafka-{name}-{number}"
            plans[shard] = ShardPlan(
                name=shard,
                model=first.model_name,
                live=False,
                max_batch=min(config.graph.max_batch, first.model.max_batch),
                tasks={c: _task(cameras[c], c in paused, run_id) for c in members},
                jobs={c: jobs[c] for c in members},
                topic=TopicShare(settings.topic_name(name), settings, first=number == 1),
            )
    return plans


def job_of(camera: ResolvedCamera) -> CameraJob:
    """What the graph must know of the camera."""
    recipe = camera.recipe
    return CameraJob(
        camera_id=camera.camera_id,
        line=camera.line,
        station=camera.station,
        model=camera.model_name,
        recipe=camera.recipe_name,
        config_hash=config_hash(camera),
        source_kind=camera.settings.url.scheme,
        track=recipe.track,
        zones=recipe.zones,
        health=recipe.health,
        inspection=recipe.inspection,
        roi=recipe.roi,
        counts=camera.counts,
        thresholds=camera.model.thresholds,
    )


def _changed_job(config: RaylineConfig, camera: ResolvedCamera, change: LineOverride | None) -> CameraJob:
    """The job, with the change that brought its recipe and what was to be done before.

    With none where the config file brought the recipe since then.
    """
    job = job_of(camera)
    if change is None or not change.brought(camera.recipe_name):
        return job
    asked = Change(change.change_id, config.lines[camera.line].changeover_timeout_s)
    recipe = config.recipes.get(change.before)
    if recipe is None or recipe.model != camera.model_name:
        return replace(job, change=asked)
    try:
        recipe = camera.settings.placed(recipe)
    except ValueError:  # its trigger was drawn since then, and no part could cross it by that recipe
        return replace(job, change=asked)
    before = job_of(replace(camera, recipe_name=change.before, recipe=recipe))
    return replace(job, change=asked, before=before)


def _stamps(job: CameraJob) -> tuple[str, str, str]:
    """What changes with a job."""
    before = "" if job.before is None else job.before.config_hash
    return job.config_hash, repr(job.change), before


def _task(camera: ResolvedCamera, paused: bool, run_id: str, restart: str = "") -> CameraTask:
    fields = CameraSettings.model_fields
    settings = CameraSettings(**{name: getattr(camera.settings, name) for name in fields})
    return CameraTask(settings, paused, run_id, restart)
