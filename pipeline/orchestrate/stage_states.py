"""How many replicas each stage has, as Serve says."""

from __future__ import annotations

from ray import serve

from pipeline.orchestrate.state import StageReport

_GONE = "STOPPING"


def stage_states() -> list[StageReport]:
    """By name. Asks Serve's controller and waits for it: call it off the event loop. Raises RayError, RuntimeError."""
    found = []
    for application in serve.status().applications.values():
        for name, deployment in application.deployments.items():
            counts = {str(getattr(state, "value", state)): n for state, n in deployment.replica_states.items()}
            wanted = sum(count for state, count in counts.items() if state != _GONE)
            state = str(getattr(deployment.status, "value", deployment.status)).lower()
            running, message = counts.get("RUNNING", 0), deployment.message.strip()
            found.append(StageReport(stage=name, running=running, wanted=wanted, state=state, message=message))
    return sorted(found, key=lambda one: one.stage)
