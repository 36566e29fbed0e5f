"""Serve wrapper of the HTTP API: Serve's proxies hand requests to its replicas."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException

from pipeline.control.access.authenticator import authenticator_for
from pipeline.control.api import make_api
from pipeline.control.detector import DetectorBusy, DetectorUnavailable
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.services import Services
from pipeline.control.settings import ApiSettings
from pipeline.deployments.applications import applications, word
from pipeline.deployments.identity import set_up_replica_logs
from pipeline.deployments.leaving import LeavingIsNoFailure
from pipeline.deployments.serve_graph import APP, DetectRoad
from pipeline.history.settings import HistorySettings
from pipeline.manners import let_the_line_go_first
from pipeline.observe.settings import LogSettings
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from pipeline.sinks.snapshots import SnapshotSettings
from stages.detect.settings import ModelSettings
from stages.values import CameraId, Clock, Detected, Frame, FrameBatch, Picture, Position

if TYPE_CHECKING:
    from starlette.types import ASGIApp

API = "api"  # the deployment
API_APP = "rayline-api"  # its Serve application: the graph runs on where this one is redeployed
READY_FOR_S = 1.0  # an answer to /readyz, which anybody may ask as often as they like
NOBODY = CameraId("api")  # whose the pictures are


class ApiReplica:
    """One process that answers HTTP. What it answers is `pipeline.control`'s affair."""

    def __init__(
        self,
        settings: ApiSettings,
        redis: RedisSettings,
        models: Mapping[str, ModelSettings],
        fused: bool,
        logs: LogSettings | None = None,
        history: HistorySettings | None = None,
        snapshots: SnapshotSettings | None = None,
    ) -> None:
        set_up_replica_logs(logs)
        let_the_line_go_first()
        pool = RedisPool(redis)
        self._services = Services(
            settings=settings,
            redis=pool,
            detector=ServeDetector(models, fused),
            models=models,
            authenticator=authenticator_for(settings, pool),
            history=None if history is None else HistoryDesk(history, snapshots),
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Serve, once, behind the constructor."""
        return LeavingIsNoFailure(make_api(self._services))


class ServeDetector:
    """ImageDetector over the Serve application of the graph."""

    def __init__(self, models: Mapping[str, ModelSettings], fused: bool) -> None:
        self._models, self._fused = models, fused
        self._looking, self._looked_at, self._is_ready = asyncio.Lock(), -READY_FOR_S, False
        self._roads: dict[str, DetectRoad] = {}  # made when first asked for: the graph may start after this

    async def detect(self, model: str, pictures: Sequence[Picture]) -> Detected:
        """See ImageDetector."""
        batch = FrameBatch("api", 0, tuple(_frame(number, picture) for number, picture in enumerate(pictures)))
        try:
            return await self._road(model).detect(ray.put(batch), {})
        except BackPressureError as exc:
            raise DetectorBusy(f"too much waits for model {model!r}") from exc
        except (RayError, RayServeException) as exc:
            raise DetectorUnavailable(f"model {model!r} does not answer: {type(exc).__name__}") from exc

    async def is_ready(self) -> bool:
        """See ImageDetector. Serve's controller is asked once a second at most, however many ask here."""
        async with self._looking:
            if time.monotonic() - self._looked_at > READY_FOR_S:
                app = (await asyncio.to_thread(applications)).get(APP, {})
                self._is_ready, self._looked_at = word(app.get("status")) == "RUNNING", time.monotonic()
            return self._is_ready

    def _road(self, model: str) -> DetectRoad:
        if model not in self._roads:
            self._roads[model] = DetectRoad(model, self._fused)
        return self._roads[model]


def _frame(number: int, picture: Picture) -> Frame:
    now = time.time()
    return Frame(NOBODY, number, now, Clock.ARRIVAL, Position("live", 0, number), picture, received_at=now)
