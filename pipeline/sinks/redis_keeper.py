"""Sees to it that an embedded Redis that dies is started again: it has no service manager."""

from __future__ import annotations

import logging
import re
import threading
from types import TracebackType
from typing import Self

from pipeline.sinks.embedded_redis import EmbeddedRedis
from pipeline.sinks.errors import SinkUnavailable

logger = logging.getLogger(__name__)

LOOK_S = 0.5
LONGEST_WAIT_S = 10.0  # between two tries of one that does not start


class RedisKeeper:
    """Looks after `server`, which is its caller's to close, from a thread of its own for as long as the block runs."""

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="redis-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()  # a start under way is one to be closed

    def _look_after(self) -> None:
        wait_s, told = LOOK_S, ""
        while not self._stopped.wait(wait_s):
            try:
                self._server.revive()
                wait_s, told = LOOK_S, ""
            except (SinkUnavailable, OSError) as exc:  # a full disk refuses even the log's file
                wait_s = min(2.0 * wait_s, LONGEST_WAIT_S)
                if told != (told := re.sub(r"\d+", "", str(exc))):  # redis puts its pid and the time in front
                    logger.error("the embedded redis does not start, it is tried on: %s", exc)  # noqa: TRY400 - it says all
