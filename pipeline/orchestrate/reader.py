"""A shard's reader as the supervisor knows it: what it was told, what it owes, and how long it rests when it failed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stages.values import CameraId

if TYPE_CHECKING:
    from pipeline.ingest.actor import ShardReport
    from pipeline.ingest.carrier import Carried

RATE_SAMPLES = 6  # one a round: rates over the last five seconds
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
STEADY_S = 60.0  # one that lived so long failed for a new reason: its rest is the first again


@dataclass(slots=True)
class Reader:
    """One shard's actor, or the place of one that failed and rests until `begin_at`. Times are monotonic seconds."""

    actor: Any  # None: it rests
    began_at: float = field(default_factory=time.monotonic)
    begin_at: float = 0.0
    to_node: str = ""  # where it is to be begun, when it moves
    is_adopted: bool = False  # it ran before this supervisor did: it need not be waited for as one that starts
    told: str = ""
    telling: asyncio.Task[None] | None = None
    asking: asyncio.Future[ShardReport] | None = None  # the report it was asked for and has not given yet
    missed: int = 0
    restarts: int = 0
    failures: int = 0  # one soon after another
    last_error: str | None = None
    report: ShardReport | None = None
    carried: deque[tuple[float, Carried]] = field(default_factory=lambda: deque(maxlen=RATE_SAMPLES))
    published: deque[tuple[float, Mapping[CameraId, int]]] = field(default_factory=lambda: deque(maxlen=RATE_SAMPLES))

    def note(self, report: ShardReport) -> None:
        """It answered: the report, and one sample of the totals, for rates."""
        self.missed = 0
        self.report = report
        self.carried.append((time.monotonic(), report.carried))
        self.published.append((time.monotonic(), {f.status.camera_id: f.published for f in report.cameras}))

    def resting(self, why: str, now: float, is_dead: bool = False) -> Reader:
        """Its place after it failed: each failure soon after another doubles the rest.

        The first time, one that died (`is_dead`) does not rest; one that is to be killed must first be out of the way.
        """
        failures = 1 if now - self.began_at >= STEADY_S else self.failures + 1
        rest_s = 0.0 if is_dead and failures == 1 else min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** (failures - 1))
        told = f"{why}; started again {f'in {rest_s:.0f} s' if rest_s else 'at once'}"
        return Reader(None, begin_at=now + rest_s, restarts=self.restarts, failures=failures, last_error=told)

    def moving(self, node: str, now: float) -> Reader:
        """Its place while it moves to another machine: no failure, and no longer than the first rest."""
        return Reader(None, begin_at=now + FIRST_REST_S, to_node=node, restarts=self.restarts, failures=self.failures)

    def again(self, actor: Any, why: str | None) -> Reader:
        """The reader that takes this place."""
        restarts = self.restarts if self.to_node else self.restarts + 1
        return Reader(actor, restarts=restarts, failures=self.failures, last_error=why)

    @property
    def node(self) -> str:
        """Ray's id of the machine it runs on; empty where that is not known."""
        return self.report.node if self.report is not None else ""

    @property
    def state(self) -> str:
        """One word for the report."""
        if self.actor is None:
            return "moving" if self.to_node else "resting"
        return "running" if self.report is not None and self.missed == 0 else "starting"
