"""What Serve's proxies are given at their start."""

from __future__ import annotations

import os
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS, Config

from pipeline.control.limits.bodies import BodyLimit
from pipeline.control.settings import ApiSettings
from pipeline.deployments.http_guard import guard
from pipeline.deployments.http_protocol import GuardedHttp
from pipeline.local_ray import ENVIRONMENT, HTTP_LIMITS


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    monkeypatch.delenv(HTTP_LIMITS, raising=False)


async def _app(scope: Scope, receive: Receive, send: Send) -> None: ...


def test_serve_calls_it_by_its_name() -> None:
    name = f"{guard.__module__}:{guard.__name__}"
    assert ENVIRONMENT["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] == name


def test_the_server_made_next_is_guarded_and_believes_nobody() -> None:
    guard()
    config = Config(_app, log_config=None)
    config.load()
    assert config.http_protocol_class.func is GuardedHttp  # type: ignore[attr-defined]
    assert "127.0.0.1" not in config.loaded_app.trusted_hosts
    assert os.environ["FORWARDED_ALLOW_IPS"] == ""


def _body_limit() -> tuple[Any, ...]:
    (found,) = [each for each in guard() if each.cls is BodyLimit]
    return tuple(found.args)


def test_its_limits_are_the_apis(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ApiSettings(
        max_body_bytes=5000, body_timeout_s=3, trusted_proxies=("10.0.0.0/8",), open_to_loopback=True
    )
    monkeypatch.setenv(HTTP_LIMITS, settings.for_proxies)
    assert _body_limit()[:2] == (5000, 3.0)
    assert "open" not in settings.for_proxies


def test_without_any_the_apis_own_limits_are_the_tighter_ones() -> None:
    most_bytes, timeout_s, _ = _body_limit()
    assert (most_bytes, timeout_s) == (1_000_000_000, 3600)
