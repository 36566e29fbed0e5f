"""All relays of a configuration in one process: each runs by itself, and begins anew if it breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.ingest.backoff import backoff_delays
from pipeline.observe.logs import log_context
from pipeline.observe.metrics import Metrics
from pipeline.relays.relay import Relay, RelayStatus
from pipeline.relays.settings import RelaySettings
from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

LAST_WORDS_S = 2.0  # what is not handed on by then waits in Redis for the next start
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0


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
        self._tasks: list[asyncio.Task[None]] = []
        self._is_ending = False

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._tasks = [asyncio.create_task(self._keep(name), name=f"relay-{name}") for name in self._spec.relays]

    def statuses(self) -> tuple[RelayStatus, ...]:
        """How each does, by name."""
        return tuple(relay.status() for _, relay in sorted(self._relays.items()))

    async def stop(self, timeout_s: float) -> None:
        """Hand on what stands in Redis, for a moment, and let go of everything, at most `timeout_s`."""
        if not self._tasks:
            return
        self._is_ending = True
        for relay in self._relays.values():
            relay.finish()
        _, left = await asyncio.wait(self._tasks, timeout=min(LAST_WORDS_S, timeout_s / 2))
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=timeout_s / 2)

    async def _keep(self, name: str) -> None:
        rests = backoff_delays(FIRST_REST_S, LONGEST_REST_S)
        with log_context(relay=name):
            while not self._is_ending:
                spec = self._spec
                relay = self._relays[name] = Relay(name, spec.relays[name], spec.redis, spec.lines, self._metrics)
                try:
                    await relay.run()
                except Exception:  # the top of one relay: told in full, and the others go on
                    rest_s = next(rests)
                    logger.exception("relay %s broke, it begins anew in %.0f s", name, rest_s)
                    await asyncio.sleep(rest_s)
