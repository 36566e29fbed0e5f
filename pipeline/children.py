"""Processes of Rayline's own beside the graph: started again when they die, and gone with the one that started them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from pipeline.ingest.backoff import backoff_delays

logger = logging.getLogger(__name__)

STOP_S = 5.0  # for a child to end by itself
STEADY_S = 60.0  # one that ran for so long is started again at once
_FIRST_S, _MOST_S = 1.0, 30.0


class Child:
    """A process that runs a module for as long as the block runs.

    `told` goes in by its standard input, where nobody else reads it, as one line; that then stays open, and its end is
    how the child hears of ours, however it comes.
    """

    def __init__(self, name: str, module: str, told: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        if b"\n" in told:
            raise ValueError("a child is told one line")
        self.name = name
        self._module = module
        self._told = told + b"\n"
        self._clock = clock
        self._changing = threading.Lock()
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._look_after, name=f"keeps-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, or ran last."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changing:
            self._stopped.set()
            process = self._process
        if process is not None:
            _end(process, self.name)
        self._thread.join()

    def _look_after(self) -> None:
        delays = backoff_delays(_FIRST_S, _MOST_S)
        while True:
            began = self._clock()
            ended = self._run()
            if self._stopped.is_set():
                return
            if self._clock() - began >= STEADY_S:
                delays = backoff_delays(_FIRST_S, _MOST_S)
            delay_s = next(delays)
            logger.error("%s ended (%s); it is started again in %.1f s", self.name, ended, delay_s)
            if self._stopped.wait(delay_s):
                return

    def _run(self) -> str:
        """Runs it once; how it ended."""
        with self._changing:
            if self._stopped.is_set():
                return "stopped"
            try:
                self._process = process = _spawn(self._module)
            except OSError as exc:
                return exc.strerror or type(exc).__name__
        assert process.stdin is not None  # noqa: S101 - by PIPE
        try:
            process.stdin.write(self._told)
            process.stdin.flush()
        except (OSError, ValueError):  # it ended, or is ended, before it had read: its exit code says so
            logger.debug("%s did not read what it was told", self.name)
        code = process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _spawn(module: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C is for us, who end it in its turn; the session is ours, and with it the priority
    )


def _end(process: subprocess.Popen[bytes], name: str) -> None:
    """By the end of its standard input, then by a signal it may heed, then by one it cannot."""
    assert process.stdin is not None  # noqa: S101 - by PIPE
    try:
        process.stdin.close()
    except OSError:
        logger.debug("%s had not read all it was told", name)
    for sent in (None, signal.SIGTERM, signal.SIGKILL):
        if sent is not None:
            logger.warning("%s, pid %d, did not end within %.0f s: %s", name, process.pid, STOP_S, sent.name)
            process.send_signal(sent)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
        return


def told_by_parent() -> bytes:
    """In the child, before anything that takes time: what it was told; from then on it ends when its parent does.

    At that it gets a SIGTERM, as from a service manager, and is ended by force where it does not heed it.
    """
    line = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_parent, name="watches-parent", daemon=True).start()
    return line.strip()


def _end_with_parent() -> None:
    for _ in _pieces():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(1)


def _pieces() -> Iterator[bytes]:
    while piece := os.read(sys.stdin.fileno(), 4096):
        yield piece
