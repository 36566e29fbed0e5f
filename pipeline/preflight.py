"""What must hold before anything is started: looked at in a second or two, told in a sentence, nothing to clean up."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig

CLUSTER_ANSWERS_S = 5.0


class ClusterUnavailable(RaylineError):
    """No Ray cluster answers at the address given."""


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
