"""A real PostgreSQL for tests: Debian's 15, in a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.redis_server import free_port

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql"))
USER = "postgres"
# A test's data may be lost to a power cut, and the test has none; what was committed outlives `kill`.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "listen_addresses": "127.0.0.1"}


class PostgresServer:
    """One server; `database` makes an empty one. It can be killed, frozen and started again."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def database(self) -> str:
        """The address of an empty one, as a configuration has it.

        It is a schema of its own: a real database would take 0.2 s and 7 MB each.
        """
        self._made += 1
        name = f"history_{self._made}"
        with psycopg.connect(self._address(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._address()}?options=-csearch_path%3D{name}"

    def start(self) -> None:
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [BINARIES / "postgres", "-D", self._data, "-k", self._directory, "-p", str(self.port), *options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **_as_user()
        )
        self._wait_until_ready()

    def init(self) -> None:
        """Make its folder's content."""
        command = [BINARIES / "initdb", "-D", self._data, "-U", USER, "--auth", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(
            [*command, "--locale", "C.UTF-8"], check=True, capture_output=True, timeout=60, cwd="/", **_as_user()
        )

    def kill(self) -> None:
        """At once, with every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # KILL would leave its children
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """All of its processes: addresses and connections are there, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)  # the parent first: one that is stopped makes no more of them
        for child in _children(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _address(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"postgres ended with {self._process.returncode}"
            try:
                psycopg.connect(self._address(), connect_timeout=1).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("postgres was not ready within 60 s")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server with no database of anybody's."""
    assert (BINARIES / "initdb").exists(), "apt-get install postgresql"
    directory = Path(tempfile.mkdtemp(prefix="rayline-pg-", dir="/tmp"))  # short: it holds the socket
    if os.geteuid() == 0:
        shutil.chown(directory, USER, USER)  # the server refuses to run as root
    server = PostgresServer(directory)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _children(parent: int) -> list[int]:
    """Each is in a session of its own, so that no group holds them all."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _as_user() -> dict[str, str]:
    return {"user": USER, "group": USER} if os.geteuid() == 0 else {}
