"""The HTTP API, put together in one function; reading `make_api` is reading what stands before a route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.control.access.addresses import ClientAddress
from pipeline.control.access.gate import Gate, unruled
from pipeline.control.access.rules import RULES
from pipeline.control.detect.desk import DetectDesk
from pipeline.control.limits.bodies import BodyLimit, ShortBodies
from pipeline.control.limits.deadline import Deadline
from pipeline.control.limits.heads import HeadLimit
from pipeline.control.live.places import Places
from pipeline.control.live.watching import Watching
from pipeline.control.problems import MEDIA_TYPE, Problem, tell_problems
from pipeline.control.rates.limiter import RateLimits
from pipeline.control.request_ids import RequestIds
from pipeline.control.routes import (
    audit,
    cameras,
    changeover,
    detect,
    health,
    inspections,
    lines,
    live,
    models,
    stream,
    thresholds,
)
from pipeline.control.services import Services

ROUTERS = (
    health.router,
    detect.router,
    cameras.router,
    live.router,
    lines.router,
    changeover.router,
    stream.router,
    inspections.router,
    models.router,
    thresholds.router,
    audit.router,
)

_ERRORS = {
    400: "It could not be understood.",
    401: "No token, or one that does not hold.",
    403: "The role or the lines do not reach so far.",
    404: "There is none of that name, or it is not on one of your lines.",
    408: "The body came too slowly.",
    409: "It does not fit what is there.",
    412: "It was changed by somebody else in between (If-Match).",
    413: "The body, or an image in it, is too large.",
    414: "The address is too long.",
    415: "Not a type this takes.",
    422: "What was sent does not fit; `errors` tells where.",
    429: "Too many requests; Retry-After tells when.",
    431: "The headers are too long, or too many.",
    503: "Not now; Retry-After tells when.",
}
_DESCRIPTION = (
    "Detection on request, cameras, lines, live pictures, judged parts and the streams of one Rayline. "
    "Send a token or key as `Authorization: Bearer ...`. Errors are RFC 9457 problem details."
)


def make_api(services: Services) -> ASGIApp:
    """The whole API as an ASGI app. Raises ValueError where a route has no rule: it would be open to all."""
    app = FastAPI(
        title="Rayline",
        version=version("rayline"),
        description=_DESCRIPTION,
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # the way it would show leads to whatever `Host` names
        lifespan=_lifespan,
    )
    app.state.services = services
    app.state.desk = DetectDesk(services.settings.detect, services.detector, services.models)
    app.state.watching = Watching(services.redis.settings, services.settings.max_watchers)
    app.state.listeners = Places(services.settings.max_streams, "listeners to streams")
    tell_problems(app)
    for router in ROUTERS:  # not include_router: it hides the routes, and the gate goes by them
        app.router.routes.extend(router.routes)
    if missing := unruled(app.routes):
        raise ValueError(f"no rule says who may call {', '.join(missing)}: pipeline/control/access/rules.py")
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    settings = services.settings
    # From the inside out: a request meets the last one first. The gate counts by address, recognises, counts by name,
    # and compares role and lines.
    gated = Gate(
        ShortBodies(app, settings.body_timeout_s),
        app.routes,
        services,
        RateLimits(settings.rate_limits, services.redis),
    )
    in_time = Deadline(gated, settings.request_timeout_s)
    bounded = HeadLimit(BodyLimit(in_time, settings.max_body_bytes, settings.body_timeout_s))
    return RequestIds(ClientAddress(bounded, settings.trusted_proxies))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What was made for the app, and what it alone asks, is closed with it."""
    yield
    app.state.desk.close()
    if app.state.services.history is not None:
        app.state.services.history.close()
    await app.state.services.redis.close()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's own, with our problem in place of its validation error, and how to authenticate."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    schema["security"] = [{"bearer": []}, {"key": []}]
    problems = {str(status): _problem(text) for status, text in _ERRORS.items()}
    paths = {route.path_format: route.path for route in app.routes if isinstance(route, Route)}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            operation["responses"] = operation.get("responses", {}) | problems
            if RULES[method.upper(), paths[path]].is_public:
                operation["security"] = []
    app.openapi_schema = schema
    return schema


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
