"""What goes wrong, told as RFC 9457 problem details: every error of the API has this one shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from pipeline.config_errors import ConfigError, dotted
from pipeline.ingest.address import mask
from pipeline.orchestrate.desired_store import DesiredConflict, DesiredError, NothingDesired
from pipeline.sinks.errors import SinkUnavailable
from stages.errors import RaylineError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TRY_AGAIN_S = 2  # what Retry-After says where nothing better is known
_MOST_ERRORS = 50
_REFUSALS = (HTTPStatus.FORBIDDEN, HTTPStatus.PRECONDITION_FAILED)


class FieldProblem(BaseModel):
    """One thing that is wrong in what was sent."""

    at: str = Field(description="Where: a path such as body.cameras.fps.")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field("", description="What happened, and what to do.")
    request_id: str = Field("", description="Names this request in the log.")
    errors: list[FieldProblem] = Field(default_factory=list, description="Each thing that is wrong in what was sent.")


class ApiError(RaylineError):
    """Raised by routes: becomes a problem with this status."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


def busy(detail: str, retry_after_s: int = TRY_AGAIN_S) -> ApiError:
    """503 with Retry-After: not now."""
    return ApiError(503, detail, {"Retry-After": str(max(1, retry_after_s))})


Expected = DesiredError | SinkUnavailable  # what the stores raise, wherever a request asks them


def refusal_of(exc: ApiError | Expected, scope: Mapping[str, Any]) -> ApiError:
    """What callers are told of it, the same before a route and in one; what is not for them goes into the log."""
    if isinstance(exc, SinkUnavailable):
        logger.warning("request %s: %s", request_id_of(scope), exc)
    told = _told(exc)
    log_refusal(scope, told.status, str(told))
    return told


def _told(exc: ApiError | Expected) -> ApiError:
    match exc:
        case ApiError():
            return exc
        case SinkUnavailable():
            return busy("Redis does not answer: try again")
        case NothingDesired():
            return busy(str(exc))
        case DesiredConflict():
            return ApiError(412, str(exc))
    return ApiError(409, str(exc))


def fault(exc: Exception, scope: Mapping[str, Any]) -> ApiError:
    """What callers are told of what nobody foresaw; the log has all of it."""
    logger.error("request %s failed in a way nobody foresaw", request_id_of(scope), exc_info=exc)
    return ApiError(500, "a fault of Rayline's: its log tells more under this request_id")


def problem_response(
    status: int,
    detail: str,
    request_id: str = "",
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] = (),
) -> JSONResponse:
    """The answer; credentials in the text are masked."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    told = [FieldProblem(at=_written(one.at), message=_written(mask(one.message))) for one in errors[:_MOST_ERRORS]]
    problem = Problem(title=title, status=status, detail=_written(mask(detail)), request_id=request_id, errors=told)
    return JSONResponse(problem.model_dump(), status, dict(headers or {}), media_type=MEDIA_TYPE)


def _written(text: str) -> str:
    """JSON may hold halves of signs (`\\ud800`), which no answer can repeat."""
    return text.encode("utf-8", "backslashreplace").decode()


def tell_problems(app: FastAPI) -> None:
    """Give the app its handlers: whatever is raised becomes a problem, and nothing of our insides leaves."""

    def answer(request: Request, status: int, detail: str, **more: Any) -> JSONResponse:
        return problem_response(status, detail, request_id_of(request.scope), **more)

    @app.exception_handler(ApiError)
    @app.exception_handler(DesiredError)
    @app.exception_handler(SinkUnavailable)
    async def _expected(request: Request, exc: ApiError | Expected) -> JSONResponse:
        told = refusal_of(exc, request.scope)
        return answer(request, told.status, str(told), headers=told.headers)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, exc: HTTPException) -> JSONResponse:
        headers = dict(exc.headers or {})
        if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods_at(request))
        return answer(request, exc.status_code, str(exc.detail), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may hold a password.
        errors = [FieldProblem(at=".".join(map(str, one["loc"])), message=one["msg"]) for one in exc.errors()]
        return answer(request, 422, "what was sent does not fit", errors=errors)

    @app.exception_handler(ConfigError)
    async def _config(request: Request, exc: ConfigError) -> JSONResponse:
        errors = [FieldProblem(at=dotted(problem.path), message=problem.advice) for problem in exc.problems]
        return answer(request, 422, "the settings do not fit", errors=errors)

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, exc: Exception) -> JSONResponse:
        told = fault(exc, request.scope)
        return answer(request, told.status, str(told))


def _methods_at(request: Request) -> list[str]:
    """Of all routes with this path: the framework tells those of the first alone."""
    routes = [
        one for one in request.app.routes if isinstance(one, Route) and one.matches(request.scope)[0] != Match.NONE
    ]
    return sorted({method for route in routes for method in route.methods or ()})


def log_refusal(scope: Mapping[str, Any], status: int, detail: str) -> None:
    """Who was not let, or came too late, is told in the log: the audit log holds what was done."""
    if status not in _REFUSALS:
        return
    principal = scope.get("state", {}).get("principal")
    who = getattr(principal, "name", "nobody")
    method, path = scope.get("method", ""), scope.get("path", "")
    logger.info("request %s: %s may not %s %r (%d): %s", request_id_of(scope), who, method, path, status, mask(detail))


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The id RequestIds gave this request; empty outside it."""
    found: str = scope.get("state", {}).get("request_id", "")
    return found
