"""A Ray that cannot start is told in a sentence, at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
import ray

from pipeline.local_ray import ENVIRONMENT, RayFailed, is_free, join_ray, set_environment, start_local_ray


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_a_metrics_port_that_is_taken_is_said_before_ray_is_started(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    with pytest.raises(RayFailed, match=f"port {taken}.*observe.metrics_port.*null"):
        start_local_ray(taken)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("no space\nTraceback ..."), "Ray could not be started: RuntimeError: no space "),
        (Exception("The current node timed out during startup."), "timed out during startup"),
        (OSError(), "OSError: no reason given"),
    ],
)
def test_whatever_keeps_ray_from_starting_becomes_one_sentence(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(RayFailed) as raised:
        start_local_ray(None)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_cluster_that_does_not_let_us_in_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 192.0.2.9:6379\nTraceback ...")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(RayFailed, match=r"192\.0\.2\.9:6379 could not be joined: .* set RAY_AUTH_MODE=token") as raised:
        join_ray("192.0.2.9:6379")
    assert "\n" not in str(raised.value)


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRPC_VERBOSITY", "debug")
    set_environment()
    assert os.environ["GRPC_VERBOSITY"] == "debug"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
