"""The graph as the ingest actor calls it: Serve handles, made once, and Ray's failures in our words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException

from pipeline.answers import BatchAnswer, Gap, InForce
from pipeline.deployments.job import CameraJob
from pipeline.deployments.told import Told
from pipeline.ingest.graph import BatchRefused, GraphError, GraphUnavailable
from stages.geometry import Roi
from stages.values import CameraId, Detected, FrameBatch, FrameFailed, ModelInfo, Thresholds

APP = "rayline"
PREPROCESS = "preprocess"
TRACK = "track"


def detect_deployment(model: str) -> str:
    """The name of the deployment that runs `model`."""
    return f"detect-{model}"


class DetectRoad:
    """The stateless stages before `track`, for one model; `fused`: detect prepares its frames itself."""

    def __init__(self, model: str, fused: bool) -> None:
        self._model = model
        self._preprocess = None if fused else serve.get_deployment_handle(PREPROCESS, APP)
        self._detect = serve.get_deployment_handle(detect_deployment(model), APP)

    async def detect(
        self, batch: ray.ObjectRef[FrameBatch], rois: Mapping[CameraId, Roi], thresholds: Thresholds | None = None
    ) -> Detected:
        """Detections for every frame of the batch. Raises what Ray and Serve raise.

        `thresholds`: what is kept of the model's answers; left out, what its own settings say.
        """
        if self._preprocess is None:
            answer = self._detect.remote(batch, rois, thresholds)
        else:
            answer = self._detect.remote(self._preprocess.remote(batch, self._model, rois, thresholds))
        detected: Detected = await answer
        return detected


class ServeGraph:
    """One shard's road through the Serve application. Its cameras all use `model`; `fused`: detect prepares itself."""

    def __init__(self, shard: str, model: str, jobs: Callable[[], Mapping[CameraId, CameraJob]], fused: bool) -> None:
        self._model = model
        self._jobs = jobs
        self._road = DetectRoad(model, fused)
        # One session per shard: the consistent-hash router keeps it on the replica that holds its trackers.
        self._track = serve.get_deployment_handle(TRACK, APP).options(session_id=shard)
        self._refs: dict[int, ray.ObjectRef[FrameBatch]] = {}
        self._told: dict[int, Told] = {}  # what batches under way are worked on by, in both stages
        self._in_force: dict[CameraId, InForce] = {}  # as track last answered

    async def detect(self, batch: FrameBatch) -> Detected:
        """See `Graph.detect`. The pixels are written once and read in place by whoever needs them."""
        told = self._told_with(batch)
        try:
            return await self._road.detect(self._ref(batch), told.rois, told.thresholds)
        except (RayError, RayServeException) as exc:
            self._refs.pop(batch.batch_no, None)  # the pixels may be what was lost: write them anew next time
            raise _ours(exc) from exc

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        """See `Graph.track`."""
        told = self._told_with(batch)
        try:
            answer: BatchAnswer = await self._track.remote(self._ref(batch), detected, told.jobs, excused, told.rois)
        except (RayError, RayServeException) as exc:
            self._refs.pop(batch.batch_no, None)
            raise _ours(exc) from exc
        self._in_force |= {c: its.in_force for c, its in answer.cameras.items() if its.in_force is not None}
        return answer

    def forget(self, batch: FrameBatch) -> None:
        """See `Graph.forget`: the object store may free the pixels."""
        self._refs.pop(batch.batch_no, None)
        self._told.pop(batch.batch_no, None)

    def _told_with(self, batch: FrameBatch) -> Told:
        """The same for both stages, however long the batch is on its way: what is told meanwhile is for the next."""
        if batch.batch_no not in self._told:
            self._told[batch.batch_no] = Told.of(_cameras_of(batch), self._jobs(), self._in_force)
        return self._told[batch.batch_no]

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        """See `Graph.failed`."""
        failed = tuple(FrameFailed(reason) for _ in batch.frames)
        return Detected(failed, failed, ModelInfo(self._model, "", "", ()))

    def _ref(self, batch: FrameBatch) -> ray.ObjectRef[FrameBatch]:
        if batch.batch_no not in self._refs:
            self._refs[batch.batch_no] = ray.put(batch)
        return self._refs[batch.batch_no]


def _cameras_of(batch: FrameBatch) -> set[CameraId]:
    return (
        {f.camera_id for f in batch.frames} | {n.camera_id for n in batch.notices} | {e.camera_id for e in batch.ends}
    )


def _ours(exc: RayError | RayServeException) -> GraphError:
    """A stage that raised is not a replica that went away."""
    if isinstance(exc, RayTaskError):
        return BatchRefused(str(exc.cause) if exc.cause is not None else str(exc).splitlines()[-1])
    return GraphUnavailable(f"{type(exc).__name__}: {str(exc).splitlines()[0]}")
