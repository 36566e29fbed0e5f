"""The HTTP API, put together in one function; reading `make_api` is reading what stands before a route."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from pipeline.control.access.gate import Gate, unruled
from pipeline.control.access.rules import RULES
from pipeline.control.problems import MEDIA_TYPE, Problem, tell_problems
from pipeline.control.request_ids import RequestIds
from pipeline.control.routes import audit, cameras, changeover, health, lines, models, thresholds
from pipeline.control.services import Services

ROUTERS = (
    *(health.router, cameras.router, lines.router, changeover.router),
    *(models.router, thresholds.router, audit.router),
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
    415: "Not a type this takes.",
    422: "What was sent does not fit; `errors` tells where.",
    429: "Too many requests; Retry-After tells when.",
    503: "Not now; Retry-After tells when.",
}
_DESCRIPTION = (
    "Detection on request, cameras, lines, live pictures and the streams of one Rayline. "
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
    )
    app.state.services = services
    tell_problems(app)
    for router in ROUTERS:  # not include_router: it hides the routes, and the gate goes by them
        app.router.routes.extend(router.routes)
    if missing := unruled(app.routes):
        raise ValueError(f"no rule says who may call {', '.join(missing)}: pipeline/control/access/rules.py")
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return RequestIds(Gate(app, app.routes, services))


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
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"bearer": []}]
    problems = {str(status): _problem(text) for status, text in _ERRORS.items()}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            operation["responses"] = operation.get("responses", {}) | problems
            if RULES[method.upper(), path].is_public:
                operation["security"] = []
    app.openapi_schema = schema
    return schema


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
