"""The relay actor: a Ray shell around all relays."""

from __future__ import annotations

import os
from dataclasses import dataclass

import ray

from pipeline.observe.logs import set_up_logs
from pipeline.observe.metrics import ray_metrics
from pipeline.observe.settings import ObserveSettings
from pipeline.relays.relay import RelayStatus
from pipeline.relays.running import Relays, RelaysSpec


@dataclass(frozen=True, slots=True)
class RelaysReport:
    """How the relays do, for the supervisor."""

    pid: int
    relays: tuple[RelayStatus, ...]


@ray.remote
class RelayActor:
    """Owns the relays. Every method returns quickly; a call that is lost can be made again."""

    def __init__(self, spec: RelaysSpec, observe: ObserveSettings) -> None:
        set_up_logs(observe)
        self._relays = Relays(spec, ray_metrics())
        self._relays.start()  # Ray makes an async actor on its running loop

    async def report(self) -> RelaysReport:
        """How they do now."""
        return RelaysReport(os.getpid(), self._relays.statuses())

    async def stop(self, timeout_s: float) -> None:
        """Let go of everything; what is not handed on waits in Redis."""
        await self._relays.stop(timeout_s)
