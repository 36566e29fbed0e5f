"""Which callers count as one by where they come from."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection

_IPV6_SITE = 64  # bits: what one customer is given whole, to number machines in as they like


def address_of(connection: HTTPConnection) -> str:
    """The client's address; of an IPv6 one its network of /64."""
    host = connection.client.host if connection.client is not None else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host or "here"  # a socket of this machine has no address
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_SITE), strict=False))
