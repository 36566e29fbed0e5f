"""What each route asks of who calls it. A route that is not here is not served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pipeline.control.access.roles import Role


class Scope(StrEnum):
    """How a route hangs on lines, and who sees that only one's own are touched."""

    NONE = "none"  # it concerns no line
    LINE = "line"  # the path names a line: the gate looks
    CAMERA = "camera"  # the path names a camera: the gate looks at its line
    ANSWER = "answer"  # the answer holds only one's own lines: the route sees to it
    BODY = "body"  # the body names a line, or something on one: the route looks


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a route, and for how long it may answer."""

    role: Role | None  # None: everybody, without a token
    scope: Scope = Scope.NONE
    streams: bool = False  # answers as long as it is listened to
    detects: bool = False  # takes a model's time: counted by a rate of its own

    @property
    def is_public(self) -> bool:
        """True where nobody is asked who they are."""
        return self.role is None

    @property
    def needed(self) -> Role:
        """The least role that may; of a route that is not public."""
        assert self.role is not None  # noqa: S101 - whoever asks has looked
        return self.role


_PUBLIC = Rule(None)
_CAMERA = "/v1/cameras/{camera}"
_LINE = "/v1/lines/{line}"

WEBSOCKET = "WEBSOCKET"  # the method a WebSocket route goes by here

# (method, path) -> rule
RULES: Mapping[tuple[str, str], Rule] = MappingProxyType(
    {
        ("GET", "/healthz"): _PUBLIC,
        ("GET", "/readyz"): _PUBLIC,
        ("GET", "/openapi.json"): Rule(Role.VIEWER),
        ("POST", "/v1/detect"): Rule(Role.OPERATOR, detects=True),
        ("GET", "/v1/models"): Rule(Role.VIEWER),
        ("GET", "/v1/models/{model}"): Rule(Role.VIEWER),
        ("PATCH", "/v1/models/{model}"): Rule(Role.ENGINEER),
        ("GET", "/v1/cameras"): Rule(Role.VIEWER, Scope.ANSWER),
        ("POST", "/v1/cameras"): Rule(Role.ENGINEER, Scope.BODY),
        ("GET", _CAMERA): Rule(Role.VIEWER, Scope.CAMERA),
        ("PATCH", _CAMERA): Rule(Role.ENGINEER, Scope.CAMERA),
        ("DELETE", _CAMERA): Rule(Role.ENGINEER, Scope.CAMERA),
        ("POST", f"{_CAMERA}/pause"): Rule(Role.OPERATOR, Scope.CAMERA),
        ("POST", f"{_CAMERA}/resume"): Rule(Role.OPERATOR, Scope.CAMERA),
        ("POST", f"{_CAMERA}/restart"): Rule(Role.OPERATOR, Scope.CAMERA),
        ("POST", f"{_CAMERA}/reset"): Rule(Role.ENGINEER, Scope.CAMERA),
        ("GET", f"{_CAMERA}/snapshot"): Rule(Role.VIEWER, Scope.CAMERA),
        ("GET", f"{_CAMERA}/live"): Rule(Role.VIEWER, Scope.CAMERA, streams=True),
        (WEBSOCKET, f"{_CAMERA}/live"): Rule(Role.VIEWER, Scope.CAMERA, streams=True),
        ("GET", "/v1/lines"): Rule(Role.VIEWER, Scope.ANSWER),
        ("GET", _LINE): Rule(Role.VIEWER, Scope.LINE),
        ("PUT", f"{_LINE}/recipe"): Rule(Role.OPERATOR, Scope.LINE),
        ("GET", "/v1/stream/{topic}"): Rule(Role.VIEWER, Scope.ANSWER, streams=True),
        ("GET", "/v1/inspections"): Rule(Role.VIEWER, Scope.ANSWER, streams=True),
        ("GET", "/v1/inspections/{inspection_id:path}"): Rule(Role.VIEWER, Scope.ANSWER),
        ("GET", "/v1/pictures/{inspection_id:path}"): Rule(Role.VIEWER, Scope.ANSWER),
        ("POST", "/v1/reviews"): Rule(Role.OPERATOR, Scope.BODY),
        ("GET", "/v1/audit"): Rule(Role.ADMIN),
    }
)
