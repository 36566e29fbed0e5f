"""A camera's numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.control.cameras.answers import CameraView
from pipeline.dashboard.texts import t

_MOST_REASONS = 4


def short(view: CameraView) -> dict[str, str]:
    """What a tile tells: name of a text -> value."""
    return {
        "cameras.fps": t("cameras.fps_in_out", got=view.fps_in, out=view.fps_out),
        "cameras.latency": latency(view.latency_ms_p50, view.latency_ms_p95),
        "cameras.drops": drops(view.dropped),
        "cameras.clock": view.clock or t("cameras.unknown"),
        "cameras.health": view.health or t("cameras.unknown"),
    }


def long(view: CameraView) -> dict[str, str]:
    """What the camera's own page tells beside that."""
    none = t("cameras.unknown")
    size = none if view.size is None else t("cameras.size_px", width=view.size[0], height=view.size[1])
    return {
        "cameras.size": size,
        "cameras.reconnects": str(view.reconnects),
        "cameras.waiting": str(view.waiting),
        "cameras.recipe": view.recipe,
        "cameras.model": view.model,
        "cameras.shard": view.shard or none,
        "cameras.differs": view.override.value if view.override is not None else none,
        "cameras.address": view.url,
    }


def latency(p50: float | None, p95: float | None) -> str:
    """Capture to publish."""
    if p50 is None or p95 is None:
        return t("cameras.unknown")
    return t("cameras.latency_ms", p50=p50, p95=p95)


def drops(dropped: Mapping[str, int]) -> str:
    """Lost frames by reason, most first."""
    most_first = sorted(((count, reason) for reason, count in dropped.items() if count), reverse=True)
    told = [t("cameras.drop", count=count, reason=reason) for count, reason in most_first[:_MOST_REASONS]]
    return ", ".join(told) or t("cameras.no_drops")
