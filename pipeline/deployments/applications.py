"""What Serve runs, as its controller tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve.context import _get_global_client


def applications() -> Mapping[str, Mapping[str, Any]]:
    """By name: `status`, and of `deployments` by name `status`, `message` and `replicas`, each with its `state`.

    Waits for the controller: call it off the event loop. Raises RayError, RuntimeError. This is what `serve.status` is
    made of: that builds all settings of all deployments anew, and pickles classes for it, to count some replicas.
    """
    client = _get_global_client(raise_if_no_controller_running=False)
    return {} if client is None else client.get_serve_details().get("applications", {})


def word(state: object) -> str:
    """A state as Serve spells it, which it tells as an enumeration or as text."""
    return str(getattr(state, "value", state))
