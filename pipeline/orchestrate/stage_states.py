"""How many replicas each stage has, as Serve says."""

from __future__ import annotations

from collections import Counter

from ray.serve.context import _get_global_client

from pipeline.orchestrate.state import StageReport

_GONE = "STOPPING"


def stage_states() -> list[StageReport]:
    """By name. Asks Serve's controller and waits for it: call it off the event loop. Raises RayError, RuntimeError.

    By what `serve.status` is made of: that builds all settings of all deployments anew, and pickles classes for it, to
    count some replicas. It took most of the supervisor's time.
    """
    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return []
    found = []
    for application in client.get_serve_details().get("applications", {}).values():
        for name, deployment in application["deployments"].items():
            counts = Counter(_word(replica["state"]) for replica in deployment["replicas"])
            wanted = sum(count for state, count in counts.items() if state != _GONE)
            state, message = _word(deployment["status"]).lower(), deployment.get("message", "").strip()
            found.append(
                StageReport(stage=name, running=counts["RUNNING"], wanted=wanted, state=state, message=message)
            )
    return sorted(found, key=lambda one: one.stage)


def _word(state: object) -> str:
    return str(getattr(state, "value", state))
