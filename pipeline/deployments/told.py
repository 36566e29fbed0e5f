"""What the stages are told with one batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pipeline.answers import InForce
from pipeline.deployments.job import CameraJob
from stages.geometry import Roi
from stages.values import CameraId, Thresholds


@dataclass(frozen=True, slots=True)
class Told:
    """The jobs of a batch's cameras, and by what its frames are prepared and detected."""

    jobs: Mapping[CameraId, CameraJob]
    rois: Mapping[CameraId, Roi]
    thresholds: Thresholds | None  # one for all: they are one model's

    @classmethod
    def of(
        cls,
        cameras: Collection[CameraId],
        jobs: Mapping[CameraId, CameraJob],
        in_force: Mapping[CameraId, InForce],
    ) -> Told:
        """As things stand now. A recipe that waits for a gap between parts does not tell yet what is cut out."""
        told, rois = {}, {}
        for camera_id in cameras & jobs.keys():
            job, now = jobs[camera_id], in_force.get(camera_id)
            told[camera_id] = _light(job, now)
            roi = job.roi if now is None else now.roi
            if roi is not None:
                rois[camera_id] = roi
        thresholds = next((job.thresholds for job in told.values()), None)
        return cls(told, rois, thresholds)


def _light(job: CameraJob, now: InForce | None) -> CameraJob:
    """Without the recipe before it, where nothing goes by that any more: jobs travel with every batch.

    It is in force before that: without a gap, parts under way keep the recipe they were first seen under, and whoever
    takes the camera over must know it.
    """
    is_over = now is not None and now.config_hash == job.config_hash and not now.older_parts
    return replace(job, before=None) if job.before is not None and is_over else job
