"""Finds the token or key in a request. Never in its address: addresses land in logs."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from pipeline.control.access.refusals import BadCredential, misread, refused
from pipeline.control.access.subprotocol import token_among_subprotocols

LONGEST = 8192  # characters of a token: a header of more is somebody trying


def credential_of(connection: HTTPConnection) -> str | None:
    """What the caller sent to be recognised by; None where that is nothing. Raises ApiError 400 or 401."""
    headers = connection.headers
    found = [_bearer(value) for value in headers.getlist("authorization")]
    found += [value.strip() for value in headers.getlist("x-api-key")]
    if (token := token_among_subprotocols(connection)) is not None:
        found.append(token)
    if not found:
        return None
    if len(found) > 1:
        raise misread("more than one token or key was sent: send one")
    if len(found[0]) > LONGEST:
        raise BadCredential(f"the token is longer than {LONGEST} characters")
    return found[0]


def _bearer(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise refused("send it as `Authorization: Bearer ...`")
    return token.strip()
