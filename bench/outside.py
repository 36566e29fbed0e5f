"""Who watches from outside: a plain Redis client that notes when a stream's entries can be read."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any, Self

import orjson
import redis

_BLOCK_MS = 500


class OutsideReader:
    """Follows one stream in a thread and dates each entry on arrival. Use as a context manager."""

    def __init__(self, redis_url: str, stream: str) -> None:
        self._client = redis.Redis.from_url(redis_url, socket_timeout=10)
        self._stream = stream
        self._received: list[tuple[float, bytes]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="outside-reader", daemon=True)

    def messages(self) -> list[tuple[float, dict[str, Any]]]:
        """(Unix seconds of arrival, message), so far."""
        return [(at, orjson.loads(data)) for at, data in tuple(self._received)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(5)
        self._client.close()

    def _follow(self) -> None:
        newest: Any = self._client.xrevrange(self._stream, count=1)
        last = newest[0][0] if newest else b"0-0"
        while not self._stopped.is_set():
            answer: Any = self._client.xread({self._stream: last}, block=_BLOCK_MS)
            received_at = time.time()
            for _, entries in answer:
                self._received += [(received_at, fields[b"data"]) for _, fields in entries]
                last = entries[-1][0]


class ShowListener:
    """Keeps what a showing camera tells of, in a thread that ends with the camera."""

    def __init__(self, camera: subprocess.Popen[str]) -> None:
        self._camera = camera
        self._shown_at: list[float] = []
        threading.Thread(target=self._listen, name="shows", daemon=True).start()

    def since(self, at: float) -> list[float]:
        """Unix seconds of all shows from then on."""
        return [shown_at for shown_at in tuple(self._shown_at) if shown_at >= at]

    def _listen(self) -> None:
        assert self._camera.stdout is not None  # noqa: S101 - started with a pipe
        for line in self._camera.stdout:
            self._shown_at.append(json.loads(line)["shown_at"])
