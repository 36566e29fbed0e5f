"""What a time held against a promise leaves out, and what it does not."""

import os
import signal
import subprocess
import sys
import time

from tests.stopwatch import Stopwatch

WATCHED = """
import sys, time
from tests.stopwatch import Stopwatch
began = time.monotonic()
with Stopwatch() as watch:
    print("began", flush=True)
    sys.stdin.readline()
print(watch.seconds, time.monotonic() - began)
"""


def test_waiting_counts() -> None:
    counted_s = []
    for _ in range(5):  # the machine may stand still in some
        with Stopwatch() as watch:
            time.sleep(0.2)
        counted_s.append(watch.seconds)
    assert max(counted_s) > 0.19


def test_computing_that_lets_no_other_thread_run_counts() -> None:
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        began = time.process_time()
        with Stopwatch() as watch:
            while time.process_time() - began < 0.3:
                pass
    finally:
        sys.setswitchinterval(switch_s)
    assert watch.seconds > 0.25


def test_a_standstill_does_not_count() -> None:
    command = [sys.executable, "-c", WATCHED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "began\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(process.pid, signal.SIGCONT)
        told, _ = process.communicate("end\n", timeout=60)
    counted_s, whole_s = map(float, told.split())
    assert whole_s > 1.0
    assert counted_s < whole_s - 0.9
