"""Who a replica is, on each of its log lines."""

from __future__ import annotations

import os

from ray import serve
from ray.serve.exceptions import RayServeException

from pipeline.observe.logs import set_up_logs
from pipeline.observe.settings import LogSettings


def process_name() -> str:
    """What this replica is called in a trace; outside one, the process's number."""
    try:
        replica = serve.get_replica_context()
    except RayServeException:
        return f"process {os.getpid()}"
    return f"{replica.deployment} {replica.replica_tag}"


def set_up_replica_logs(settings: LogSettings | None) -> None:
    """Called first in a deployment's `__init__`: its lines look like all others and name deployment and replica.

    None, and outside a replica, leaves the log as it is.
    """
    if settings is None:
        return
    try:
        replica = serve.get_replica_context()
    except RayServeException:
        return
    set_up_logs(settings, deployment=replica.deployment, replica=replica.replica_tag)
