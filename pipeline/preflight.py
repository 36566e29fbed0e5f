"""What must hold before anything is started: looked at in a second or two, told in a sentence, nothing to clean up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.control.settings import ApiSettings
    from pipeline.dashboard.settings import DashboardSettings

CLUSTER_ANSWERS_S = 5.0

_ROUNDING = 1e-6
_NOUNS = {"CPU": "cores", "GPU": "GPUs"}
_CURE = "lower `graph.*_cpus` or `graph.detect_gpus` (shares for placement) or `graph.*_replicas`, or add machines"


class ClusterUnavailable(RaylineError):
    """No Ray cluster answers at the address given."""


class PortTaken(RaylineError):
    """Nothing can listen where the API is to."""


class NoRoom(RaylineError):
    """The Ray cluster can never run this graph, or its machines cannot reach what they need."""


def require_weights(config: RaylineConfig) -> None:
    """The weights of every model in use are whole, and those meant. Raises ModelError, naming file and cure.

    A replica finds out the same, but only after Ray, Serve and three attempts. Remote weights are left to the replicas.
    """
    from stages.detect.weights import find_weights

    for model in config.models_in_use().values():
        if "://" not in model.weights:
            find_weights(model, Path(gettempdir()))


def require_redis(config: RaylineConfig) -> None:
    """The configured Redis answers and lets us in. Raises SinkUnavailable or SinkRefused."""
    asyncio.run(_ping(config))


async def _ping(config: RaylineConfig) -> None:
    from pipeline.sinks.redis_client import RedisLink

    link = RedisLink(config.redis_settings())
    try:
        async with link.use() as client:
            await client.ping()
    finally:
        await link.close()


def require_port(api: ApiSettings) -> None:
    """The API's port is free. Raises PortTaken; Serve's proxy would try for minutes."""
    _require_free("the HTTP API", "api", api.host, api.port)


def require_page_port(page: DashboardSettings) -> None:
    """The page's port is free. Raises PortTaken; else it would be tried again and again while all the rest runs."""
    _require_free("the page", "dashboard", page.host, page.port)


def _require_free(what: str, section: str, host: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        raise PortTaken(
            f"{what} cannot listen on {host}:{port} ({why}): set {section}.host or {section}.port"
        ) from None


def require_proxies(api: ApiSettings, host: str, port: int, proxies: int) -> None:
    """So many proxies of Serve listen at host and port, where the API is to be. Raises PortTaken.

    A Serve that ran in the cluster before keeps its own, and says so in its log alone.
    """
    wanted = (api.host, api.port)
    if proxies and (host, port) == wanted:
        return
    what = f"listens on {host}:{port}" if proxies else "runs without HTTP"
    raise PortTaken(
        f"Serve runs in this cluster already and {what}, so the HTTP API cannot be on {wanted[0]}:{wanted[1]}: "
        "set api.host and api.port to what it has, or api: null, or end it with `serve shutdown`"
    )


def require_cluster(address: str) -> None:
    """Something listens at host:port, or ray://host:port. Raises ClusterUnavailable.

    Ray itself would try for a minute and a half and then end this process without a word. Other forms of address
    (`auto`) are left to Ray.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and host and port.isdecimal()):
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CLUSTER_ANSWERS_S):
            pass
    except (OSError, OverflowError) as exc:
        why = getattr(exc, "strerror", None) or "no answer"
        raise ClusterUnavailable(f"no Ray cluster at {address} ({why}); `ray status` there tells its address") from None


def require_room(config: RaylineConfig, nodes: Sequence[Mapping[str, float]]) -> None:
    """A cluster of these machines, each as its resources, can place the graph, and all reach Redis. Raises NoRoom.

    Ray would wait for ever for what is not there. What others of the cluster use meanwhile is not looked at: it may
    become free.
    """
    if config.redis.embedded and len(nodes) > 1:
        raise NoRoom(
            f"the cluster has {len(nodes)} machines and `redis.url: embedded` listens on this one alone: "
            "set redis.url to a Redis that all of them reach"
        )
    models, graph = len(config.models_in_use()), config.graph
    needed = {"CPU": config.cpus_needed(), "GPU": graph.gpus_needed(models)}
    for kind, most in needed.items():
        there = sum(node.get(kind, 0.0) for node in nodes)
        if most > there + _ROUNDING:
            raise NoRoom(f"the graph asks for {most:g} {_NOUNS[kind]}, the Ray cluster has {there:g}; {_CURE}")
    for cpus, gpus in graph.shares(models):
        if not any(_fits(node, cpus, gpus) for node in nodes):
            on_gpus = f" and {gpus:g} GPUs" if gpus else ""
            raise NoRoom(f"a process asks for {cpus:g} cores{on_gpus}, no machine of the Ray cluster has that; {_CURE}")


def _fits(node: Mapping[str, float], cpus: float, gpus: float) -> bool:
    return node.get("CPU", 0.0) + _ROUNDING >= cpus and node.get("GPU", 0.0) + _ROUNDING >= gpus
