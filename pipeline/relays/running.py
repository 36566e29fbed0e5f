"""All relays of a configuration in one process: each runs by itself, and begins anew if it breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.ingest.backoff import backoff_delays
from pipeline.masking import mask
from pipeline.observe.logs import log_context
from pipeline.observe.metrics import Metrics
from pipeline.relays.relay import Relay, RelayStatus
from pipeline.relays.settings import RelaySettings
from pipeline.sinks.redis_client import RedisSettings
from pipeline.waiting import is_set_within

logger = logging.getLogger(__name__)

LAST_WORDS_S = 2.0  # what is not handed on by then waits in Redis for the next start
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
WELL_S = 60.0  # a relay that ran so long before it broke rests as after the first time


@dataclass(frozen=True, slots=True)
class RelaysSpec:
    """What there is to relay, from where."""

    relays: Mapping[str, RelaySettings]
    redis: RedisSettings
    lines: Sequence[str]


class Relays:
    """Started once, stopped once."""

    def __init__(self, spec: RelaysSpec, metrics: Metrics) -> None:
        self._spec = spec
        self._metrics = metrics
        self._relays: dict[str, Relay] = {}
        self._broke: dict[str, tuple[str, float]] = {}  # why a relay broke last, and when: Unix seconds
        self._resting: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = asyncio.Event()

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._tasks = [asyncio.create_task(self._keep(name), name=f"relay-{name}") for name in self._spec.relays]

    def statuses(self) -> tuple[RelayStatus, ...]:
        """How each does, by name."""
        return tuple(self._status(name) for name in sorted(self._relays))

    async def stop(self, timeout_s: float) -> None:
        """Hand on what stands in Redis, for a moment, and let go of everything, at most `timeout_s`."""
        if not self._tasks:
            return
        self._ending.set()
        for relay in self._relays.values():
            relay.finish()
        _, left = await asyncio.wait(self._tasks, timeout=min(LAST_WORDS_S, timeout_s / 2))
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=timeout_s / 2)

    def _status(self, name: str) -> RelayStatus:
        status = self._relays[name].status()
        if name in self._resting:
            status = replace(status, state="waiting")
        if name in self._broke and (name in self._resting or status.last_error is None):
            why, at = self._broke[name]
            status = replace(status, last_error=why, last_error_at=at)
        return status

    async def _keep(self, name: str) -> None:
        rests = backoff_delays(FIRST_REST_S, LONGEST_REST_S)
        spec = self._spec
        with log_context(relay=name):
            while not self._ending.is_set():
                began_at = time.monotonic()
                relay = self._relays[name] = Relay(name, spec.relays[name], spec.redis, spec.lines, self._metrics)
                try:
                    await relay.run()
                except Exception as exc:  # the top of one relay: told in full, and the others go on
                    if time.monotonic() - began_at >= WELL_S:
                        rests = backoff_delays(FIRST_REST_S, LONGEST_REST_S)
                    rest_s = next(rests)
                    logger.exception("relay %s broke, it begins anew in %.0f s", name, rest_s)
                    self._broke[name] = f"broke: {type(exc).__name__}: {mask(str(exc))}", time.time()
                    await self._rest(name, rest_s)

    async def _rest(self, name: str, seconds: float) -> None:
        self._resting.add(name)
        await is_set_within(self._ending, seconds)
        self._resting.discard(name)
