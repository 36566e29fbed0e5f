"""How many replicas each stage has, as Serve says."""

from __future__ import annotations

from dataclasses import dataclass

from ray import serve

_GONE = "STOPPING"


@dataclass(frozen=True, slots=True)
class StageState:
    """One deployment."""

    stage: str
    running: int
    wanted: int  # those that start or are repaired included
    state: str  # healthy, updating, unhealthy, ... in Serve's words
    message: str = ""


def stage_states() -> list[StageState]:
    """By name. Asks Serve's controller and waits for it: call it off the event loop. Raises RayError, RuntimeError."""
    found = []
    for application in serve.status().applications.values():
        for name, deployment in application.deployments.items():
            counts = {str(getattr(state, "value", state)): n for state, n in deployment.replica_states.items()}
            wanted = sum(count for state, count in counts.items() if state != _GONE)
            state = str(getattr(deployment.status, "value", deployment.status)).lower()
            found.append(StageState(name, counts.get("RUNNING", 0), wanted, state, deployment.message.strip()))
    return sorted(found, key=lambda one: one.stage)
