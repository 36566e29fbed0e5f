"""Keeps the relays' one actor alive for the supervisor: made, adopted, replaced when it died, ended."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError

from pipeline.config import RaylineConfig
from pipeline.history.settings import GROUP as HISTORY
from pipeline.orchestrate.state import RelayReport
from pipeline.relays.actor import RelayActor, RelaysReport
from pipeline.relays.relay import group_of
from pipeline.relays.running import RelaysSpec
from pipeline.sinks.reader_floors import ReaderFloors

logger = logging.getLogger(__name__)

RELAYS = "rayline-relays"  # name of the actor
NAMESPACE = "rayline"
CALL_TIMEOUT_S = 5.0
MISSED_BEFORE_REPLACED = 3
REST_S = 2.0


def held_groups(config: RaylineConfig) -> set[str]:
    """Consumer groups that may hold streams in Redis by this configuration."""
    return {group_of(name) for name in config.relays} | ({HISTORY} if config.history is not None else set())


class RelayKeeper:
    """One actor, detached as the readers are: it goes on while a supervisor is made anew, and that one adopts it."""

    def __init__(self, config: RaylineConfig) -> None:
        self._config = config
        self._actor: Any = None
        self._missed = 0
        self._restarts = 0
        self._begin_at = 0.0  # monotonic
        self._last_error: str | None = None
        self._report: RelaysReport | None = None

    async def begin(self) -> None:
        """A new run: what an earlier one left is ended, and its relays that are gone hold nothing any more."""
        self._actor = relays_there()
        await self.end(CALL_TIMEOUT_S)
        floors = ReaderFloors(self._config.redis_settings())
        try:
            for gone in await floors.replace_run(held_groups(self._config)):
                logger.warning("%s is not configured any more: it holds no stream, and its place is lost", gone)
        finally:
            await floors.close()

    async def keep(self) -> None:
        """One look: the actor is there and has reported; one that is not is replaced after a rest."""
        if not self._config.relays or time.monotonic() < self._begin_at:
            return
        self._actor = self._actor or self._make()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                self._report = await self._actor.report.remote()
            self._missed = 0
        except (RayError, TimeoutError) as exc:
            self._miss(f"{type(exc).__name__}: {exc}".splitlines()[0])

    async def end(self, timeout_s: float) -> None:
        """Stop it; killed where it does not stop in time."""
        actor = self._actor or (relays_there() if self._config.relays else None)  # a supervisor before us made it
        self._actor, self._report = None, None
        if actor is None:
            return
        try:
            async with asyncio.timeout(timeout_s + 1):
                await actor.stop.remote(timeout_s)
        except (RayError, TimeoutError) as exc:
            logger.warning("the relays did not stop in %.0f s, they are killed: %s", timeout_s, type(exc).__name__)
        finally:
            ray.kill(actor)

    def reports(self) -> tuple[RelayReport, ...]:
        """How each relay does, as last heard."""
        told = {status.name: status for status in self._report.relays} if self._report is not None else {}
        alive = self._actor is not None and self._missed == 0
        found = []
        for name, settings in sorted(self._config.relays.items()):
            status = told.get(name)
            if status is None or not alive:
                found.append(RelayReport(relay=name, kind=settings.kind, state="starting", last_error=self._last_error))
            else:
                found.append(RelayReport.of(status, self._restarts))
        return tuple(found)

    def _make(self) -> Any:
        config = self._config
        spec = RelaysSpec(config.relays, config.redis_settings(), config.line_ids())
        return RelayActor.options(  # type: ignore[attr-defined]
            name=RELAYS,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=config.graph.relay_cpus,
            max_concurrency=4,
        ).remote(spec, config.observe)

    def _miss(self, why: str) -> None:
        self._missed += 1
        self._last_error = why
        dead = "ActorDied" in why or "ActorUnavailable" in why
        if dead or self._missed >= MISSED_BEFORE_REPLACED:
            logger.warning("the relays' process is replaced in %.0f s: %s", REST_S, why)
            ray.kill(self._actor)
            self._actor, self._missed = None, 0
            self._restarts += 1
            self._begin_at = time.monotonic() + REST_S


def relays_there() -> Any:
    """The relays' actor, whoever made it; None where there is none."""
    with suppress(ValueError):
        return ray.get_actor(RELAYS, NAMESPACE)
    return None


def kill_relays() -> None:
    """End it at once."""
    actor = relays_there()
    if actor is not None:
        ray.kill(actor)
