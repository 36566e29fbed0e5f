"""How all cameras and shards do, out of what their readers told: what `rayline status` shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import quantiles

from pipeline.ingest.camera_state import CameraState
from pipeline.ingest.figures import CameraFigures
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.plan import ShardPlan
from pipeline.orchestrate.reader import Reader
from pipeline.orchestrate.state import CameraReport, RelayReport, ShardReport, StageReport, SystemReport
from stages.values import CameraId, HealthState

_SEEN_LATELY = (CameraState.RUNNING, CameraState.ENDED)  # in any other state the last picture says nothing of now


def system_report(
    readers: Mapping[str, Reader],
    plans: Mapping[str, ShardPlan],
    placed: Mapping[CameraId, str],
    desired: DesiredState,
    started_at: float,
    now: float,
    relays: Sequence[RelayReport] = (),
    stages: Sequence[StageReport] = (),
) -> SystemReport:
    """The report at `now`. `readers` and `plans` are by shard, `placed` tells each camera's. Times are Unix seconds."""
    cameras = [
        _camera_report(reader, figures, placed.get(figures.status.camera_id, ""), desired, now)
        for reader in readers.values()
        for figures in (reader.report.cameras if reader.report is not None else ())
        if figures.status.camera_id in desired.config.cameras
    ]
    most = desired.config.graph.max_in_flight
    shards = [_shard_report(name, reader, plans.get(name), most, now) for name, reader in sorted(readers.items())]
    return SystemReport(
        at=now,
        started_at=started_at,
        run_id=desired.run_id,
        desired_version=desired.version,
        problems=dict(desired.problems),
        base_problems=dict(desired.base_problems),
        cameras=tuple(_one_each(cameras)),
        shards=tuple(shards),
        relays=tuple(relays),
        stages=tuple(stages),
    )


def _one_each(cameras: Iterable[CameraReport]) -> list[CameraReport]:
    """By name. Of a camera that several readers of its topic know, the one it came to last."""
    newest: dict[str, CameraReport] = {}
    for camera in cameras:
        other = newest.get(camera.camera)
        if other is None or (other.last_frame_at or 0.0) < (camera.last_frame_at or 0.0):
            newest[camera.camera] = camera
    return [newest[name] for name in sorted(newest)]


def _shard_report(name: str, reader: Reader, plan: ShardPlan | None, in_flight_most: int, now: float) -> ShardReport:
    batches_per_s, batch_frames = _batches(reader)
    return ShardReport(
        shard=name,
        state=reader.state,
        cameras=() if plan is None else tuple(sorted(plan.tasks)),
        node=reader.node,
        pid=reader.report.pid if reader.report is not None else None,
        restarts=reader.restarts,
        last_error=reader.last_error,
        model="" if plan is None else plan.model,
        batches_per_s=batches_per_s,
        batch_frames=batch_frames,
        batch_most=0 if plan is None else plan.max_batch,
        in_flight=reader.carried[-1][1].in_flight if reader.carried else 0,
        in_flight_most=in_flight_most,
        updated_at=now,
    )


def _batches(reader: Reader) -> tuple[float, float | None]:
    """Batches a second and frames in each, over the samples there are."""
    if len(reader.carried) < 2:
        return 0.0, None
    (since, first), (until, last) = reader.carried[0], reader.carried[-1]
    batches, frames = last.batches - first.batches, last.frames - first.frames
    return round(batches / max(1e-3, until - since), 2), round(frames / batches, 2) if batches else None


def _camera_report(
    reader: Reader, figures: CameraFigures, shard: str, desired: DesiredState, now: float
) -> CameraReport:
    status = figures.status
    camera_id = status.camera_id
    camera = desired.cameras[camera_id]
    p50, p95 = _percentiles(figures.latencies_s)
    kind = desired.kind(camera_id)
    in_force = figures.in_force
    recipe = camera.recipe_name if in_force is None else in_force.recipe
    return CameraReport(
        camera=camera_id,
        line=camera.line,
        station=camera.station,
        state=status.state.value,
        since=status.since,
        url=str(camera.settings.url),
        shard=shard,
        model=camera.model_name,
        recipe=recipe,
        recipe_desired=camera.recipe_name if camera.recipe_name != recipe else None,
        recipe_refused=in_force.refused or None if in_force is not None else None,
        change_id=in_force.change_id if in_force is not None else "",
        health=figures.health if status.state in _SEEN_LATELY else HealthState.STALE.value,
        size=status.size_wh,
        clock=status.clock.value if status.clock is not None else None,
        fps_in=status.fps_in,
        fps_out=_rate(reader.published, camera_id),
        frames_in=status.frames_in,
        frames_out=figures.published,
        dropped=dict(figures.dropped),
        waiting=figures.waiting,
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
