"""A client that leaves is told as one that left, whatever Serve makes of it."""

from typing import Any

import pytest
from ray.exceptions import ActorDiedError, TaskCancelledError
from starlette.types import Message, Receive, Scope, Send

from pipeline.deployments.leaving import LeavingIsNoFailure


async def heard(kind: str, raised: Exception) -> Message:
    """What an app hears whose server raises this."""
    told: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(await receive())

    async def receive() -> Message:
        raise raised

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await LeavingIsNoFailure(app)({"type": kind}, receive, send)
    return told[0]


@pytest.mark.parametrize("raised", [TaskCancelledError(), ActorDiedError()], ids=["cancelled", "the proxy died"])
async def test_a_question_to_the_proxy_that_is_lost_is_a_client_that_left(raised: Exception) -> None:
    assert await heard("http", raised) == {"type": "http.disconnect"}
    assert (await heard("websocket", raised))["type"] == "websocket.disconnect"


async def test_another_error_is_the_apps_to_hear() -> None:
    with pytest.raises(KeyError):
        await heard("http", KeyError("x"))
