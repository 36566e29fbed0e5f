"""A Ray of our own on this machine, or one to join: quiet, and where that fails, why, in a sentence."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Mapping
from types import MappingProxyType

from stages.errors import RaylineError

OBJECT_STORE_BYTES = 512 * 1024 * 1024  # far above max_in_flight batches of full-HD frames
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "RAY_USAGE_STATS_ENABLED": "0",  # nothing calls home
        # Serve's controller looks after a handful of replicas here: twice a second is enough, and half a percent of a
        # core.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        # Serve gives a replica's own code, and a handle's router, loops of their own, lest long work hold the replica
        # up: ours is done in threads, and a call costs less on one loop (docs/decisions/0012-what-a-frame-costs.md).
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
        # What Ray's daemons look at ten or four times a second changes seldom on one machine, and nobody asks for what
        # they note of every call: less than one percent of a core, on each machine, for nothing.
        "RAY_raylet_report_resources_period_milliseconds": "1000",
        "RAY_memory_monitor_refresh_ms": "1000",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_enable_timeline": "0",
        "RAY_event_stats": "0",
        # Ray runs what it starts at nice 15: a share of the cores only twelve times that of the class for idle work, in
        # which API and proxies run (pipeline/manners.py). At 5 it is a hundred times, and Ray's daemons still go first.
        "RAY_worker_niceness": "5",
        # Called in each of Serve's HTTP proxies: what they lack is in pipeline/deployments/http_guard.py.
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "pipeline.deployments.http_guard:guard",
        # The processes here have some thirty threads each; with an arena for every one, as glibc would have it, freed
        # memory is spread thin: over half an hour they grew by 39 MB in all with two, and by 73 MB without.
        "MALLOC_ARENA_MAX": "2",
        "GRPC_VERBOSITY": "ERROR",  # else it tells of every fork
        "GRPC_ENABLE_FORK_SUPPORT": "0",  # what forks here runs another program at once
    }
)

HTTP_LIMITS = "RAYLINE_HTTP_LIMITS"  # the API's settings, for the proxies, which Serve tells nothing


class RayFailed(RaylineError):
    """Ray could not be started or joined; the message says why and what to do."""


def set_environment(http_limits: str | None = None) -> None:
    """To be called before Ray is imported; what the user has set stays. `http_limits`: see HTTP_LIMITS."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if http_limits is not None:
        os.environ[HTTP_LIMITS] = http_limits


def is_free(port: int) -> bool:
    """True where a server may listen on it, on all addresses as Ray does."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just closed may be taken again
        try:
            probe.bind(("", port))
        except OSError as exc:
            if exc.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """One that nobody listens on now, of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start_local_ray(metrics_port: int | None) -> None:
    """Start Ray's processes and join them; `ray.shutdown` ends them. Raises RayFailed."""
    import ray

    if metrics_port is not None and not is_free(metrics_port):
        raise RayFailed(
            f"port {metrics_port}, where the metrics are to be, is taken (by another Rayline?): "
            "set observe.metrics_port to another port, or to null for any that is free"
        )
    try:
        ray.init(
            address="local",  # never one that happens to run here, or that RAY_ADDRESS names
            namespace="rayline",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.WARNING,
            _metrics_export_port=metrics_port,
        )
    except Exception as exc:  # Ray raises bare Exceptions here; whichever it was, nothing can run
        ray.shutdown()
        why = f"Ray could not be started: {_sentence(exc)} (`rayline doctor` tells what this machine lacks)"
        raise RayFailed(why) from exc


def join_ray(address: str) -> None:
    """Join the cluster at `address`; `ray.shutdown` leaves it. Raises RayFailed."""
    import ray

    try:
        ray.init(address=address, namespace="rayline", logging_level=logging.WARNING)
    except Exception as exc:  # as above
        ray.shutdown()
        hint = "if it asks for a token, set RAY_AUTH_MODE=token; its Ray and Python must be of our versions"
        raise RayFailed(f"the Ray cluster at {address} could not be joined: {_sentence(exc)} ({hint})") from exc


def _sentence(exc: Exception) -> str:
    why = next(iter(str(exc).strip().splitlines()), "") or "no reason given"
    return f"{type(exc).__name__}: {why}"
