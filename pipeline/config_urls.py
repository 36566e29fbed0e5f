"""A configuration for `rayline up URL...`: cameras and a model, and no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.config import RaylineConfig, config_of_data

DEFAULT_WEIGHTS = "builtin:bottles"
_BOTTLES_INPUT = (256, 416)  # what the shipped model was trained for
_MODEL = "detector"
_RECIPE = "objects"


def config_for_urls(
    urls: Sequence[str],
    weights: str | None = None,
    labels: Sequence[str] = (),
    redis_url: str | None = None,
) -> RaylineConfig:
    """Cameras cam-1, cam-2, ... read from `urls`, each a line of its own; objects are told, nothing is judged.

    `weights` None takes the model that Rayline ships, which knows the demo's bottles and nothing else; `labels` keeps
    only these classes. Raises ConfigError.
    """
    model: dict[str, Any] = {"weights": weights or DEFAULT_WEIGHTS}
    if weights is None:
        model["image_size"] = _BOTTLES_INPUT
    if labels:
        model["classes"] = list(labels)
    data: dict[str, Any] = {
        "version": 1,
        "models": {_MODEL: model},
        "recipes": {_RECIPE: {"model": _MODEL}},
        "cameras": {f"cam-{number}": {"url": url, "recipe": _RECIPE} for number, url in enumerate(urls, start=1)},
    }
    if redis_url:
        data["redis"] = {"url": redis_url}
    return config_of_data(data, "command line")


def is_url(text: str) -> bool:
    """True where the argument of `up` is a camera's address and not a config file."""
    if Path(text).suffix.lower() in (".yaml", ".yml"):
        return False
    return "://" in text or text.startswith(("file:", "v4l2:")) or Path(text).exists()
