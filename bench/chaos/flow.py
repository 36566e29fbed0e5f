"""Whether results flow: a look at the newest entry of every camera, ten times a second, for as long as the drill."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pipeline.sinks.keys import camera_keys

LOOK_S = 0.1
GAP_S = 1.0  # no result for longer: it does not flow
STEADY_S = 3.0  # without such a gap for so long: it flows again


class Flow:
    """When results came, by camera; times are monotonic seconds."""

    def __init__(self, redis_url: str, cameras: Iterable[str]) -> None:
        self._redis_url = redis_url
        self._came: dict[str, list[float]] = {camera: [] for camera in cameras}
        self._newest: dict[str, tuple[int, int]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flow", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join(5)

    def recovered(self, since: float) -> dict[str, float | None]:
        """Seconds from `since` until each camera's last gap after it was over; None while one lasts."""
        now = time.monotonic()
        return {camera: recovery_s(list(came), since, now) for camera, came in self._came.items()}

    def is_steady(self, now: float) -> bool:
        """True where every camera flowed for the last STEADY_S."""
        recovered = self.recovered(now - STEADY_S)
        return all(recovered[camera] == 0.0 for camera in recovered)

    def _watch(self) -> None:
        client: Redis = Redis.from_url(
            self._redis_url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        with client:
            while not self._stopped.wait(LOOK_S):
                with suppress(RedisError):
                    self._look(client)

    def _look(self, client: Redis) -> None:
        with client.pipeline(transaction=False) as pipe:
            for camera in self._came:
                pipe.xrevrange(camera_keys(camera, camera).detections, count=1)
            answers = pipe.execute()
        now = time.monotonic()
        for camera, entries in zip(self._came, answers, strict=True):
            newest = _order(entries[0][0]) if entries else (0, 0)
            if newest > self._newest.get(camera, (0, 0)):  # a Redis that lost its tail has older ones first
                self._newest[camera] = newest
                self._came[camera].append(now)


def recovery_s(came: Sequence[float], since: float, now: float) -> float | None:
    """Seconds from `since` until the last gap after it was over; 0 without one, None while one lasts."""
    over, last = 0.0, max((at for at in came if at <= since), default=since)
    for at in (at for at in came if at > since):
        if at - last > GAP_S:
            over = at - since
        last = at
    return None if now - last > GAP_S else over


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)
