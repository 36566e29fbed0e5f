"""A real redis-server for tests: on a free port of 127.0.0.1, to be killed, frozen and restarted at will."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.sinks.embedded_redis import find_binary

DEBIAN = shutil.which("redis-server")
BUNDLED = find_binary()
BINARIES = {"6.2": BUNDLED, "7.0": DEBIAN}


class RedisServer:
    """One server; `restart` keeps its port, and its data if `keep`."""

    def __init__(self, directory: Path, binary: str, password: str | None, keep: bool, options: dict[str, str]) -> None:
        self.port = free_port()
        self._directory = directory
        self._binary = binary
        self._password = password
        self._keep = keep
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes" if self._keep else "no",
            "appendfsync": "always",
        }
        settings |= {"requirepass": self._password} if self._password else {}
        arguments = [part for name, value in (settings | self._options).items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._wait_until_ready()

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def remember(self) -> None:
        """Keeps what it holds now, for `roll_back`; only with `keep`."""
        shutil.rmtree(self._remembered, ignore_errors=True)
        shutil.copytree(self._directory / "appendonlydir", self._remembered)

    def roll_back(self) -> None:
        """As a failover to a replica that lagged: it comes back as it was at `remember`, which no client hears."""
        self.kill()
        shutil.rmtree(self._directory / "appendonlydir")
        shutil.copytree(self._remembered, self._directory / "appendonlydir")
        self.start()

    @property
    def _remembered(self) -> Path:
        return self._directory / "remembered"

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"redis-server ended with {self._process.returncode}"
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        return
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError("redis-server was not ready within 60 s")


@contextmanager
def redis_server(
    directory: Path, version: str = "7.0", *, password: str | None = None, keep: bool = False, **options: str
) -> Iterator[RedisServer]:
    """A running server of Debian's 7.0 or the bundled 6.2; `options` are redis.conf's, with _ for -."""
    binary = BINARIES[version]
    assert binary is not None, "apt-get install redis-server"
    named = {name.replace("_", "-"): value for name, value in options.items()}
    server = RedisServer(directory, binary, password, keep, named)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Below the range outgoing connections take theirs from: it stays free while the server is away."""
    for port in random.sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("none of 100 ports is free")
