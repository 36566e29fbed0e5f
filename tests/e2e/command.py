"""`rayline ...` as people run it: a process of its own, in a session of its own, that must leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

RAYLINE = Path(sys.executable).with_name("rayline")
POLL_S = 0.5
ENDING_POLL_S = 0.1  # its processes end within moments of it


class Command:
    """A running command; its output goes to files and may be read at any time.

    What it starts is noted while it runs: its children and theirs, and whatever is in its session.
    """

    def __init__(self, arguments: tuple[str | Path, ...], folder: Path, environ: dict[str, str]) -> None:
        name = uuid.uuid4().hex
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        self._seen: set[psutil.Process] = set()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**environ, "COLUMNS": "200"},
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def output(self) -> str:
        return f"{self.stdout}\n{self.stderr}"

    def started(self) -> list[psutil.Process]:
        """Every living process that this command started, itself included."""
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            self._seen |= {own, *own.children(recursive=True)}
        self._seen |= {process for process in psutil.process_iter() if _session_of(process) == self.process.pid}
        return [process for process in self._seen if _lives(process)]

    def wait_for(self, what: str, condition: Callable[[], bool], timeout_s: float) -> None:
        """Until the condition holds. Raises AssertionError with the output so far, or if the command ends before."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {what}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {what} within {timeout_s:.0f} s:\n{self.output}"
            self.started()
            time.sleep(POLL_S)

    def wait_until_running(self, timeout_s: float = 100.0) -> None:
        """Until `up` says so."""
        self.wait_for("'Running;'", lambda: "Running;" in self.stdout, timeout_s)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ctrl-C as a terminal sends it: to the whole foreground group."""
        self.started()
        os.killpg(self.process.pid, number)

    def finish(self, timeout_s: float) -> int:
        """The exit code, once it has ended. Raises AssertionError with the output if it does not."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running after {timeout_s:.0f} s:\n{self.output}"
            self.started()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(POLL_S)
        return self.process.returncode

    def assert_nothing_left(self, timeout_s: float = 3.0) -> None:
        """Nothing that it started lives on; what is just ending may take a moment."""
        assert self.process.poll() is not None, "it still runs"
        deadline = time.monotonic() + timeout_s
        while left := self.started():
            assert time.monotonic() < deadline, f"left running: {left}"
            time.sleep(ENDING_POLL_S)

    def end_all(self) -> None:
        """Whatever a failed test left."""
        for process in self.started():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)


class Rayline:
    """Runs commands for one test: their instance note and their output are the test's own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        folder.mkdir()
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        self.note = runtime / "rayline" / "instance.json"
        hidden = ("RAY", "PYTEST")  # the session's own Ray is none of theirs
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        self._environ = {**kept, "XDG_RUNTIME_DIR": str(runtime), "XDG_CACHE_HOME": str(cache)}

    def set(self, name: str, value: str) -> None:
        """An environment variable of the commands that follow."""
        self._environ[name] = value

    @contextmanager
    def running(self, *arguments: str | Path) -> Iterator[Command]:
        """A command that runs inside the block, and of which nothing is left after it."""
        command = Command((RAYLINE, *arguments), self._folder, self._environ)
        try:
            yield command
        finally:
            command.end_all()

    def run(self, *arguments: str | Path, timeout_s: float = 30.0) -> Command:
        """A command that has ended, leaving nothing."""
        with self.running(*arguments) as command:
            command.finish(timeout_s)
            command.assert_nothing_left()
        return command

    def json(self, *arguments: str | Path, timeout_s: float = 30.0) -> Any:
        """What a command that must succeed printed, as JSON."""
        command = self.run(*arguments, timeout_s=timeout_s)
        assert command.process.returncode == 0, command.output
        return json.loads(command.stdout)

    def redis_url(self) -> str:
        """Of the Rayline that runs, by its note."""
        return str(json.loads(self.note.read_text())["redis_url"])


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
