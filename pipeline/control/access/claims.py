"""From a token's claims, once they are believed, to who its bearer is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.control.access.refusals import refused
from pipeline.control.access.roles import Principal, Role
from pipeline.control.access.token_settings import ClaimSettings
from pipeline.control.problems import ApiError

LONGEST_NAME = 200
_MOST_VALUES = 1000


def is_subject(name: str) -> bool:
    """True for what may name somebody in the audit log."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def principal_of_claims(claims: Mapping[str, Any], settings: ClaimSettings) -> Principal:
    """Raises ApiError: 401 where it names nobody, 403 where it gives no role."""
    name = claims["sub"]
    if not isinstance(name, str) or not is_subject(name):
        raise refused(f"`sub` must be 1 to {LONGEST_NAME} printable characters")
    known = {role.value: role for role in Role} | dict(settings.roles)
    roles = [known[value] for value in _values(claims, settings.role_claim) if value in known]
    if not roles:
        raise ApiError(403, f"the token gives no role: its claim `{settings.role_claim}` names none that is known")
    role = max(roles, key=list(Role).index)
    if settings.lines_claim is None:
        return Principal(name, role)
    return Principal(name, role, frozenset(_values(claims, settings.lines_claim)))


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """A claim's texts: of a list, or between a text's blanks; none where there is no such claim."""
    value = _claim(claims, name)
    if isinstance(value, str):
        return value.split()[:_MOST_VALUES]
    if isinstance(value, list):
        return [one for one in value[:_MOST_VALUES] if isinstance(one, str)]
    return []


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """By its whole name first: `https://example.com/role` is one name, `realm_access.roles` a way into an object."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
