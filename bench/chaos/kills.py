"""The kinds of death the drill knows: each a function that brings it about, and sees to what does not heal by itself.

What Ray and Rayline start anew they must start anew themselves; a Redis, a camera or a machine comes back as its own
service manager would bring it back.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from bench.chaos.detect import HOLD, SLEEP
from bench.chaos.line import Drilled
from tests.wiring.processes import processes_called

TAKEN_S = 10.0  # longest until an order is obeyed
AWAY_S = 2.0  # until a Redis or a camera is started again
CUT_OFF_S = 5.0  # a broker
NODE_AWAY_S = 5.0  # until another machine is there
TAIL_S = 1.0  # what a power cut takes with `appendfsync everysec`; a kill alone leaves it with the system
_OURS = ("ray::Ingest", "ray::Serve", "ray::Supervisor")
BOUND_S, NODE_BOUND_S = 15.0, 30.0


@dataclass(frozen=True)
class Kind:
    """One way to die."""

    strike: Callable[[Drilled, random.Random], str]  # says what it hit
    bound_s: float = BOUND_S


def processes_of(name: str) -> list[psutil.Process]:
    """Ours in whose title the name stands; Ray's workers say in it what they are."""
    return sorted(processes_called(name), key=lambda process: process.pid)


def _process(name: str, dice: random.Random) -> psutil.Process:
    until = time.monotonic() + 10
    while not (found := processes_of(name)):
        if time.monotonic() > until:
            raise LookupError(f"no process {name}")
        time.sleep(0.1)
    return dice.choice(found)


def _killed(name: str) -> Callable[[Drilled, random.Random], str]:
    return _hit(name, psutil.Process.kill, "")


def _stopped(name: str) -> Callable[[Drilled, random.Random], str]:
    return _hit(name, psutil.Process.suspend, " stands still")


def _hit(name: str, how: Callable[[psutil.Process], None], said: str) -> Callable[[Drilled, random.Random], str]:
    def strike(drilled: Drilled, dice: random.Random) -> str:
        process = _process(name, dice)
        how(process)
        return f"pid {process.pid}{said}"

    return strike


def _ordered(order: str) -> Callable[[Drilled, random.Random], str]:
    def strike(drilled: Drilled, dice: random.Random) -> str:
        lies = drilled.folder / order
        lies.touch()
        until = time.monotonic() + TAKEN_S
        while lies.exists():  # whoever sees it first takes it away
            if time.monotonic() > until:
                raise LookupError(f"nobody took the order to {order}")
            time.sleep(0.05)
        return "told to " + order

    return strike


def _redis(drilled: Drilled, dice: random.Random) -> str:
    drilled.redis.kill()
    time.sleep(AWAY_S)
    drilled.redis.start()
    return f"away for {AWAY_S:.0f} s"


def _redis_tail(drilled: Drilled, dice: random.Random) -> str:
    drilled.redis.remember()
    time.sleep(TAIL_S)
    drilled.redis.kill()
    time.sleep(AWAY_S)
    drilled.redis.roll_back()
    return f"away for {AWAY_S:.0f} s, without its last {TAIL_S:.0f} s"


def _broker(drilled: Drilled, dice: random.Random) -> str:
    drilled.broker.freeze()  # killed, the test's broker would forget all
    time.sleep(CUT_OFF_S)
    drilled.broker.thaw()
    return f"cut off for {CUT_OFF_S:.0f} s"


def _camera(drilled: Drilled, dice: random.Random) -> str:
    drilled.camera.kill()
    time.sleep(AWAY_S)
    drilled.camera.start()
    return f"away for {AWAY_S:.0f} s"


def _node(number: signal.Signals) -> Callable[[Drilled, random.Random], str]:
    def strike(drilled: Drilled, dice: random.Random) -> str:
        ours = _to_the_node(drilled, number)
        time.sleep(NODE_AWAY_S)
        drilled.nodes.add_worker()
        return f"with {', '.join(ours)}, another after {NODE_AWAY_S:.0f} s"

    return strike


def _to_the_node(drilled: Drilled, number: signal.Signals) -> list[str]:
    """What of ours was there. Raises LookupError where nothing was: then nothing is shown by its death."""
    pids = drilled.nodes.worker_pids()
    titles = []
    for pid in pids:
        with suppress(psutil.Error):
            titles.append(" ".join(psutil.Process(pid).cmdline()))
    ours = sorted(title.split(":")[-1].split(".")[0].strip() for title in titles if title.startswith(_OURS))
    if not ours:
        raise LookupError("the worker node holds nothing of ours")
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return ours


def _together(*names: str) -> Callable[[Drilled, random.Random], str]:
    def strike(drilled: Drilled, dice: random.Random) -> str:
        return " and ".join(KINDS[name].strike(drilled, dice) for name in names)

    return strike


KINDS: Mapping[str, Kind] = {
    "ingest": Kind(_killed("ray::IngestActor")),
    "detect": Kind(_killed("ray::ServeReplica:rayline:detect")),
    "track": Kind(_killed("ray::ServeReplica:rayline:track")),
    "controller": Kind(_killed("ray::ServeController")),
    "supervisor": Kind(_killed("ray::Supervisor")),
    "redis": Kind(_redis),
    "redis-tail": Kind(_redis_tail),
    "broker": Kind(_broker),
    "rtsp": Kind(_camera),
    "node": Kind(_node(signal.SIGKILL), NODE_BOUND_S),
    "frozen-node": Kind(_node(signal.SIGSTOP), NODE_BOUND_S),
    "asleep-detect": Kind(_ordered(SLEEP)),
    "held-detect": Kind(_ordered(HOLD)),
    "frozen-detect": Kind(_stopped("ray::ServeReplica:rayline:detect")),
    "frozen-track": Kind(_stopped("ray::ServeReplica:rayline:track")),
    "frozen-ingest": Kind(_stopped("ray::IngestActor")),
    "controller+track": Kind(_together("controller", "track")),
    "controller+detect": Kind(_together("controller", "detect")),
    "supervisor+ingest": Kind(_together("supervisor", "ingest")),
    "ingest+track": Kind(_together("ingest", "track")),
}
