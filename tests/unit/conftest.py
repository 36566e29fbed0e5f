"""Unit tests need no cluster: one that asks for it fails at once."""

from __future__ import annotations

import pytest
import ray


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("a unit test must not start Ray: move it to tests/wiring")

    monkeypatch.setattr(ray, "init", refuse)
