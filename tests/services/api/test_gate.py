"""The gate before every route, for each rule there is and everybody who may come."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message
from starlette.websockets import WebSocket

from pipeline.config import RaylineConfig
from pipeline.control.access.gate import Gate
from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.access.refusals import nobody
from pipeline.control.access.roles import Principal, Role
from pipeline.control.access.rules import RULES, WEBSOCKET, Rule
from pipeline.control.access.rules import Scope as LineScope
from pipeline.control.rates.limiter import RateLimits
from pipeline.control.request_ids import RequestIds
from pipeline.control.services import Services
from pipeline.control.settings import ApiSettings
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from tests.api_client import OneBoxDetector
from tests.api_paths import filled

pytestmark = pytest.mark.services

CALLERS = [None, *Role]
NAMES = {"line": "l1", "camera": "a", "model": "bottles", "topic": "events", "inspection_id": "a/1/1"}


class Named:
    """Authenticator that takes the caller's word for who it is: `role` or `role@line`."""

    async def principal(self, connection: HTTPConnection) -> Principal:
        """See Authenticator."""
        said = connection.headers.get("x-who")
        if said is None:
            raise nobody()
        role, _, line = said.partition("@")
        return Principal(said, Role(role), frozenset({line or "*"}))


async def _answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("in")


async def _accept(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def every_route() -> list[BaseRoute]:
    """One for each rule, that lets everybody in who comes so far."""
    return [
        WebSocketRoute(path, _accept) if method == WEBSOCKET else Route(path, _answer, methods=[method])
        for method, path in RULES
    ]


@asynccontextmanager
async def gate(redis: RedisSettings, config: RaylineConfig | None, **settings: Any) -> AsyncIterator[ASGIApp]:
    pool = RedisPool(redis)
    if config is not None:
        async with pool.use() as client:
            await DesiredStore(client).publish(config)
    routes = every_route()
    open_to = settings.get("open_to_loopback", False)
    services = Services(
        settings=ApiSettings(**settings),
        redis=pool,
        detector=OneBoxDetector(),
        models={},
        authenticator=OpenToLoopback() if open_to else Named(),
    )
    try:
        yield RequestIds(
            Gate(Starlette(routes=routes), routes, services, RateLimits(services.settings.rate_limits, pool))
        )
    finally:
        await pool.close()


async def ask(
    app: ASGIApp, method: str, path: str, who: str | None = None, **names: str
) -> tuple[int | str, dict[str, str]]:
    """What comes first back: a status, or of a WebSocket the type of its first message."""
    path = filled(path, **{**NAMES, **names})
    headers = [(b"host", b"localhost")] + ([(b"x-who", who.encode())] if who else [])
    scope: dict[str, Any] = {"path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
    scope |= {"client": ("127.0.0.1", 5), "server": ("localhost", 80), "root_path": "", "http_version": "1.1"}
    if method == WEBSOCKET:
        scope |= {"type": "websocket", "scheme": "ws", "subprotocols": []}
        first: Message = {"type": "websocket.connect"}
    else:
        scope |= {"type": "http", "scheme": "http", "method": method}
        first = {"type": "http.request", "body": b"", "more_body": False}
    sent: list[Message] = []

    async def receive() -> Message:
        return first

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
    return sent[0].get("status", sent[0]["type"]), told


def expected(method: str, rule: Rule, role: Role | None) -> int | str:
    """By the rule alone."""
    if rule.role is None or (role is not None and role.covers(rule.role)):
        return "websocket.accept" if method == WEBSOCKET else 200
    return "websocket.close" if method == WEBSOCKET else 401 if role is None else 403


async def test_each_rule_lets_in_whom_it_names_and_nobody_else(redis: RedisSettings, config: RaylineConfig) -> None:
    async with gate(redis, config) as app:
        for (method, path), rule in RULES.items():
            for role in CALLERS:
                status, _ = await ask(app, method, path, role)
                assert status == expected(method, rule, role), f"{method} {path} as {role}"


async def test_what_is_not_on_ones_line_is_not_there(redis: RedisSettings, config: RaylineConfig) -> None:
    """An admin of line l1 meets camera c and line l2 as somebody who made the names up does."""
    theirs = {LineScope.LINE: {"line": "l2"}, LineScope.CAMERA: {"camera": "c"}}
    made_up = {LineScope.LINE: {"line": "zz"}, LineScope.CAMERA: {"camera": "zz"}}
    async with gate(redis, config) as app:
        for (method, path), rule in RULES.items():
            if rule.scope not in theirs:
                continue
            missing = "websocket.close" if method == WEBSOCKET else 404
            status, _ = await ask(app, method, path, "admin@l1")
            assert status not in (missing, 403), f"{method} {path}: one's own"
            for names in (theirs[rule.scope], made_up[rule.scope]):
                status, _ = await ask(app, method, path, "admin@l1", **names)
                assert status == missing, f"{method} {path} {names}"


async def test_without_the_role_nobody_learns_what_is_there(redis: RedisSettings, config: RaylineConfig) -> None:
    async with gate(redis, config) as app:
        answers = [await ask(app, "DELETE", "/v1/cameras/{camera}", "viewer@l1", camera=c) for c in ("a", "c", "zz")]
    assert [status for status, _ in answers] == [403, 403, 403]


async def test_a_head_is_a_get_and_other_methods_are_not_taken(redis: RedisSettings, config: RaylineConfig) -> None:
    async with gate(redis, config) as app:
        assert (await ask(app, "HEAD", "/v1/cameras"))[0] == 401
        assert (await ask(app, "HEAD", "/v1/cameras", "viewer"))[0] == 200
        assert (await ask(app, "PURGE", "/v1/cameras"))[0] == 405
        assert (await ask(app, "GET", "/v1/cameras/../../v1/audit"))[0] in (401, 404)


RATES: Mapping[str, Any] = {"per_principal": "5/hour", "detect": "2/hour", "per_address": "20/hour", "failed": "3/hour"}


async def test_more_than_ones_share_is_told_when_to_come_again(redis: RedisSettings, config: RaylineConfig) -> None:
    async with gate(redis, config, rate_limits=RATES) as app:
        answers = [await ask(app, "GET", "/v1/lines", "viewer") for _ in range(7)]
        other, _ = await ask(app, "GET", "/v1/lines", "operator")
        detections = [(await ask(app, "POST", "/v1/detect", "operator"))[0] for _ in range(3)]
    assert [status for status, _ in answers] == [200] * 5 + [429] * 2
    assert [told["ratelimit-remaining"] for _, told in answers] == ["4", "3", "2", "1", "0", "0", "0"]
    assert answers[0][1]["ratelimit-limit"] == "5"
    assert answers[0][1]["ratelimit-policy"] == "5;w=3600"
    assert 0 < int(answers[5][1]["retry-after"]) <= 3600
    assert (other, detections) == (200, [200, 200, 429])  # neither shares with another


async def test_an_address_has_its_share_whoever_asks_and_whatever(redis: RedisSettings, config: RaylineConfig) -> None:
    async with gate(redis, config, rate_limits=RATES) as app:
        asked = [("GET", "/v1/lines"), ("GET", "/nothing-here")] * 10
        before = [(await ask(app, *one))[0] for one in asked]
        after = [(await ask(app, *one))[0] for one in asked[:2]]
        probes = [(await ask(app, "GET", path))[0] for path in ("/healthz", "/readyz")]
    assert before == [401, 404] * 10
    assert after == [429, 429]
    assert probes == [200, 200]


async def test_who_is_open_to_this_machine_is_counted_too(redis: RedisSettings, config: RaylineConfig) -> None:
    async with gate(redis, config, open_to_loopback=True, rate_limits=RATES) as app:
        answers = [(await ask(app, "GET", "/v1/lines"))[0] for _ in range(6)]
    assert answers == [200] * 5 + [429]
