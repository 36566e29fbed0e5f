"""What is refused for its size or its slowness, and that nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.control.access.roles import Role
from pipeline.control.access.rules import RULES, Rule
from pipeline.control.limits.bodies import MOST_SETTINGS_BYTES, BodyBudget, BodyLimit, ShortBodies
from pipeline.control.limits.deadline import Deadline
from pipeline.control.limits.heads import HeadLimit
from pipeline.control.limits.refusing import refuse
from pipeline.control.problems import Problem

Header = tuple[bytes, bytes]
END: Message = {"type": "http.request", "body": b"", "more_body": False}


def part(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Asked:
    """One request to an app: what it may receive, and what it answered."""

    def __init__(self, *messages: Message, headers: Sequence[Header] = (), **scope: Any) -> None:
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/detect",
            "query_string": b"",
            "headers": list(headers),
            "state": {"request_id": "r1"},
            **scope,
        }
        self._messages = list(messages)
        self.sent: list[Message] = []

    async def of(self, app: ASGIApp) -> int:
        """The status; 0 where there is no answer."""
        await app(self.scope, self._receive, self._send)
        return next((sent["status"] for sent in self.sent if sent["type"] == "http.response.start"), 0)

    async def _receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()  # nothing comes any more
        return self._messages.pop(0)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 200 with the body once it is whole; 400 where the client goes, as frameworks do."""
    body, status = b"", 200
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            status = 400
            break
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads nothing."""
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("messages", "headers", "status"),
    [
        pytest.param([part(b"12345"), part(b"67890", False)], [], 200, id="exactly as long as may be"),
        pytest.param([part(b"12345"), part(b"678901", False)], [], 413, id="a byte more"),
        pytest.param([part(b"x" * 6)] * 100, [], 413, id="without end"),
        pytest.param([END], [(b"content-length", b"11")], 413, id="said to be longer"),
        pytest.param([END], [(b"content-length", b"9" * 30)], 400, id="a length of thirty digits"),
        pytest.param([END], [(b"content-length", b"-1")], 400, id="a length below nothing"),
        pytest.param([END], [(b"content-length", b"1"), (b"content-length", b"2")], 400, id="two lengths"),
        pytest.param([END], [(b"content-length", b"0"), (b"transfer-encoding", b"chunked")], 400, id="two ends"),
        pytest.param([part(b"12345")], [], 408, id="one that stops half-way"),
        pytest.param([], [(b"content-length", b"5")], 408, id="one that never begins"),
    ],
)
async def test_a_body_has_a_length_and_a_time(messages: list[Message], headers: list[Header], status: int) -> None:
    asked = Asked(*messages, headers=headers)
    assert await asked.of(BodyLimit(echo, 10, 0.05)) == status
    assert len([sent for sent in asked.sent if sent["type"] == "http.response.start"]) == 1


@pytest.mark.parametrize(
    ("rule", "status"), [(RULES["POST", "/v1/detect"], 200), (RULES["POST", "/v1/cameras"], 413), (None, 413)]
)
async def test_only_images_are_long(rule: Rule | None, status: int) -> None:
    asked = Asked(part(bytes(MOST_SETTINGS_BYTES)), part(b"x", False))
    asked.scope["state"]["rule"] = rule
    assert await asked.of(ShortBodies(echo, 1)) == status


async def test_who_reads_no_body_waits_for_none() -> None:
    assert await Asked(headers=[(b"content-length", b"5")]).of(BodyLimit(at_once, 10, 0.01)) == 401


async def test_an_answer_may_take_longer_than_the_body() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.05)
        await at_once(scope, receive, send)

    assert await Asked(END).of(BodyLimit(slow, 10, 0.01)) == 401


async def test_a_timeout_of_the_apps_own_stays_one() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Asked().of(BodyLimit(fails, 10, 1))
    with pytest.raises(TimeoutError):
        await Asked().of(Deadline(fails, 1))


async def test_bodies_share_a_budget_and_give_it_back() -> None:
    budget = BodyBudget(10)
    app = BodyLimit(echo, 10, 1, budget)
    waits = asyncio.create_task(Asked(part(b"123456")).of(app))
    await asyncio.sleep(0)
    beside = Asked(part(b"12345", False))
    assert await beside.of(app) == 503
    assert dict(beside.sent[0]["headers"])[b"retry-after"] == b"2"
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert await Asked(part(b"1234567890", False)).of(app) == 200
    assert budget.take(10)


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        pytest.param([(b"last-event-id", b"x" * 8192), (b"authorization", b"x" * 8192)], "/", 401, id="long but fair"),
        pytest.param([(b"a", b"x" * 40_000)], "/", 431, id="one long header"),
        pytest.param([(b"a", b"1")] * 101, "/", 431, id="many headers"),
        pytest.param([], "/" + "x" * 9000, 414, id="a long path"),
    ],
)
async def test_a_head_has_a_length(headers: list[Header], path: str, status: int) -> None:
    assert await Asked(headers=headers, path=path).of(HeadLimit(at_once)) == status


async def test_a_long_query_is_a_long_address() -> None:
    assert await Asked(query_string=b"x" * 9000).of(HeadLimit(at_once)) == 414


async def test_an_answer_that_does_not_come_is_given_up() -> None:
    is_stopped = False

    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal is_stopped
        try:
            await asyncio.Event().wait()
        finally:
            is_stopped = True

    asked = Asked()
    assert await asked.of(Deadline(works, 0.01)) == 503
    assert dict(asked.sent[0]["headers"])[b"retry-after"] == b"2"
    assert is_stopped


@pytest.mark.parametrize(("streams", "parts"), [(True, 5), (False, 1)])
async def test_only_a_stream_goes_on_behind_the_deadline(streams: bool, parts: int) -> None:
    async def tells(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(5):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.01 if streams else 1)

    asked = Asked(state={"rule": Rule(Role.VIEWER, streams=streams)})
    assert await asked.of(Deadline(tells, 0.02)) == 200
    assert len(asked.sent) == 1 + parts


async def test_a_stream_that_never_begins_is_given_up_too() -> None:
    assert await Asked(state={"rule": Rule(Role.VIEWER, streams=True)}).of(Deadline(never, 0.01)) == 503


async def test_a_refused_websocket_is_closed_before_it_opens() -> None:
    asked = Asked(type="websocket", headers=[(b"a", b"x" * 40_000)])
    await asked.of(HeadLimit(never))
    assert [sent["type"] for sent in asked.sent] == ["websocket.close"]


async def test_a_refusal_is_a_problem_like_all_others() -> None:
    asked = Asked()
    await refuse(asked.scope, asked._send, 413, "too long")
    problem = Problem.model_validate_json(asked.sent[1]["body"])
    assert problem == Problem(title=problem.title, status=413, detail="too long", request_id="r1")
    assert problem.title
    assert (b"content-type", b"application/problem+json") in asked.sent[0]["headers"]
