"""Processes beside the graph: started again when they die, ended with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline import children
from pipeline.children import Child

PATIENCE_S = 60.0
DUTIFUL = "import time\nfrom pipeline.children import told_by_parent\nnote(told_by_parent())\ntime.sleep(600)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + DUTIFUL
NOTES = """
import os
def note(told):
    with open({file!r}, 'ab') as out:
        out.write(told + b' %d\\n' % os.getpid())
"""
PARENT = "import time\nfrom pipeline.children import Child\nwith Child('c', 'child_here', b'x'):\n    time.sleep(600)\n"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the module `child_here`; the file that it notes in, a line a start: what it was told, its pid."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2]))))

    def write(body: str) -> Path:
        file = tmp_path / "notes"
        (tmp_path / "child_here.py").write_text(NOTES.format(file=str(file)) + body)
        return file

    return write


def lines(file: Path, count: int) -> list[str]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = file.read_text().splitlines() if file.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{count} starts did not come")


def pid(line: str) -> int:
    return int(line.rpartition(" ")[2])


def wait_until_gone(number: int, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"pid {number} is still there"
        time.sleep(0.01)


def test_it_is_told_by_its_input_alone(make: Callable[[str], Path]) -> None:
    file = make(DUTIFUL)
    with Child("c", "child_here", b'{"password":"hunter2"}'):
        [line] = lines(file, 1)
        process = psutil.Process(pid(line))
        assert line.startswith('{"password":"hunter2"}')
        assert "hunter2" not in " ".join(process.cmdline()) + " ".join(process.environ().values())
        assert os.getpgid(process.pid) != os.getpgid(0)  # Ctrl-C at the terminal is not for it
    wait_until_gone(process.pid, 0)


def test_one_that_dies_is_started_again_and_told_again(
    make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_FIRST_S", 0.01)
    file = make(DUTIFUL)
    with Child("c", "child_here", b"x"):
        os.kill(pid(lines(file, 1)[0]), signal.SIGKILL)
        first, second = lines(file, 2)
        assert first.startswith("x ")
        assert second.startswith("x ")


def test_one_that_does_not_heed_is_killed(make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_S", 0.1)
    file = make(STUBBORN)
    with Child("c", "child_here", b"x"):
        number = pid(lines(file, 1)[0])
    wait_until_gone(number, 0)


def test_one_that_never_starts_does_not_keep_us(make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    make("raise SystemExit(3)\n")
    began = time.monotonic()
    with Child("c", "child_here", b"x" * 1_000_000):
        pass
    assert time.monotonic() - began < PATIENCE_S


def test_it_does_not_outlive_a_parent_that_is_killed(make: Callable[[str], Path]) -> None:
    file = make(DUTIFUL)
    parent = subprocess.Popen([sys.executable, "-c", PARENT])
    try:
        number = pid(lines(file, 1)[0])
    finally:
        parent.kill()
        parent.wait(PATIENCE_S)
    wait_until_gone(number)
