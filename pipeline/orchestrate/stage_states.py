"""How many replicas each stage has, as Serve says."""

from __future__ import annotations

from collections import Counter

from pipeline.deployments.applications import applications, word
from pipeline.orchestrate.state import StageReport

_GONE = "STOPPING"


def stage_states() -> list[StageReport]:
    """By name. Asks Serve's controller and waits for it: call it off the event loop. Raises RayError, RuntimeError."""
    found = []
    for application in applications().values():
        for name, deployment in application["deployments"].items():
            counts = Counter(word(replica["state"]) for replica in deployment["replicas"])
            wanted = sum(count for state, count in counts.items() if state != _GONE)
            state, message = word(deployment["status"]).lower(), deployment["message"].strip()
            running = counts["RUNNING"]
            found.append(StageReport(stage=name, running=running, wanted=wanted, state=state, message=message))
    return sorted(found, key=lambda one: one.stage)
