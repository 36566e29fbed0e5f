"""A process that serves people takes what the line leaves of the cores."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Asked of itself: what a process is cannot be taken back, so it is no affair of the one that runs the tests.
_ASKED = """
import os, threading
from pathlib import Path
from pipeline.manners import let_the_line_go_first

done = threading.Event()
before = threading.Thread(target=done.wait)
before.start()
let_the_line_go_first()
after = threading.Thread(target=done.wait)
after.start()
print(*(os.sched_getscheduler(int(task.name)) == os.SCHED_IDLE for task in Path("/proc/self/task").iterdir()))
done.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no such class elsewhere")
def test_every_thread_steps_back_those_that_ran_and_those_that_come() -> None:
    told = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True).stdout.split()
    assert len(told) >= 3
    assert set(told) == {"True"}
