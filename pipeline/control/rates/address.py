"""Which callers count as one by where they come from."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from pipeline.control.access.addresses import site_of


def address_of(connection: HTTPConnection) -> str:
    """The client's address; of an IPv6 one its network of /64."""
    host = connection.client.host if connection.client is not None else ""
    return site_of(host) or "here"  # a socket of this machine has no address
