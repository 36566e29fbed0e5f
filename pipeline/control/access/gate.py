"""The gate before every route: its rule is looked up, the caller counted and recognised, role and lines compared."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.control.access.own import require_own
from pipeline.control.access.refusals import BadCredential
from pipeline.control.access.roles import Principal
from pipeline.control.access.rules import RULES, WEBSOCKET, Rule
from pipeline.control.access.rules import Scope as LineScope
from pipeline.control.problems import ApiError, fault, problem_response, refusal_of, request_id_of
from pipeline.control.rates.address import address_of
from pipeline.control.rates.limiter import RateLimits, with_rate_headers
from pipeline.control.services import Services
from pipeline.orchestrate.desired_errors import DesiredError
from pipeline.sinks.errors import SinkUnavailable

POLICY_VIOLATION = 1008  # the WebSocket code for "you may not"


class Gate:
    """Refuses before the body is read: what a stranger sends costs a header's reading."""

    def __init__(self, app: ASGIApp, routes: list[BaseRoute], services: Services, rates: RateLimits) -> None:
        self._app = app
        self._routes = routes
        self._services = services
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = with_rate_headers(send, scope)
        try:
            await self._admit(scope)
        except (ApiError, DesiredError, SinkUnavailable) as exc:
            await _refuse(refusal_of(exc, scope), scope, receive, send)
            return
        except Exception as exc:  # the top of the gate: it stands outside what the app does for its routes
            await _refuse(fault(exc, scope), scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        """What is cheap comes first: a flood is refused before its tokens are looked at."""
        found = rule_for(self._routes, scope)
        if found is not None:
            scope["state"]["rule"] = found[0]
            if found[0].is_public:  # probes are never counted
                return
        connection = HTTPConnection(scope)
        address = address_of(connection)
        await self._rates.of_address(address)
        if found is None:  # no such route: the router says so
            return
        rule, parameters = found
        principal = await self._recognise(connection, address)
        scope["state"]["principal"] = principal
        await self._rates.of_principal(principal, rule.detects, scope)
        if not principal.role.covers(rule.needed):
            raise ApiError(403, f"this needs the role {rule.needed}, {principal.name} is {principal.role}")
        await self._look_at_lines(principal, rule, parameters)

    async def _recognise(self, connection: HTTPConnection, address: str) -> Principal:
        try:
            return await self._services.authenticator.principal(connection)
        except BadCredential:
            await self._rates.failed(address)
            raise

    async def _look_at_lines(self, principal: Principal, rule: Rule, parameters: dict[str, str]) -> None:
        """A line that is not theirs is answered as one that is not there."""
        if rule.scope is LineScope.LINE:
            line = parameters["line"]
            if not principal.may_see(line):
                raise ApiError(404, f"there is no line {line!r}")
        if rule.scope is LineScope.CAMERA:
            camera = parameters["camera"]
            async with self._services.desired() as desired:
                state = await desired.read()
            require_own(state, principal, camera)


def rule_for(routes: list[BaseRoute], scope: Scope) -> tuple[Rule, dict[str, str]] | None:
    """The rule of the route that will answer, and the path's parameters; None where no route does.

    A route without a rule cannot be: `make_api` refuses it.
    """
    for route in routes:
        if not isinstance(route, Route | WebSocketRoute):
            continue
        match, child = route.matches(scope)
        if match is not Match.FULL:
            continue
        method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        method = "GET" if method == "HEAD" else method
        return RULES[method, route.path], dict(child.get("path_params", {}))
    return None


def unruled(routes: list[BaseRoute]) -> list[str]:
    """Routes that no rule is about, as `METHOD path`."""
    return [f"{method} {path}" for method, path in routes_of(routes) if (method, path) not in RULES]


def routes_of(routes: list[BaseRoute]) -> list[tuple[str, str]]:
    """(method, path) of every route; anything that is neither a plain route nor a WebSocket counts as unruled."""
    found: list[tuple[str, str]] = []
    for route in routes:
        if isinstance(route, WebSocketRoute):
            found.append((WEBSOCKET, route.path))
        elif isinstance(route, Route):
            found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
        else:
            found.append((type(route).__name__, getattr(route, "path", "")))
    return found


async def _refuse(exc: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    detail = str(exc)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": detail[:120]})
        return
    await problem_response(exc.status, detail, request_id_of(scope), exc.headers)(scope, receive, send)
