"""From where a request comes: what a trusted proxy says of it, and nothing that anybody else does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FOR, _PROTO = b"x-forwarded-for", b"x-forwarded-proto"
_OTHERS = frozenset({b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"via"})
_FORWARDED = "forwarded"  # in scope["state"]
_SCHEMES = {"http": ("http", "ws"), "https": ("https", "wss")}


class ClientAddress:
    """Puts the caller's address and scheme into the scope, and takes out every header that tells one.

    The last address of X-Forwarded-For that is no trusted proxy's is the caller's: what stands before it, the caller
    wrote. `Forwarded` is not read: a proxy sets one of the two and lets pass what a stranger puts into the other.
    """

    def __init__(self, app: ASGIApp, trusted_proxies: Iterable[str]) -> None:
        self._app = app
        self._proxies = TrustedProxies(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] in ("http", "websocket"):
            self._look(scope)
        await self._app(scope, receive, send)

    def _look(self, scope: Scope) -> None:
        headers = scope["headers"]
        told = [header for header in headers if _tells(header[0])]
        peer = scope["client"][0] if scope.get("client") else ""
        is_proxy = peer in self._proxies
        scope["state"][_FORWARDED] = is_proxy or bool(told)
        if told:
            scope["headers"] = [header for header in headers if not _tells(header[0])]
        if not is_proxy:
            return
        hops = ",".join(value.decode("latin1") for name, value in told if name == _FOR)
        scope["client"] = (self._proxies.caller(peer, hops.split(",")), 0)
        schemes = [value.decode("latin1").rpartition(",")[2].strip().lower() for name, value in told if name == _PROTO]
        if schemes and schemes[-1] in _SCHEMES:
            scope["scheme"] = _SCHEMES[schemes[-1]][scope["type"] == "websocket"]


class TrustedProxies:
    """The networks that are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __contains__(self, host: str) -> bool:
        address = parse(host)
        return address is not None and any(address in network for network in self._networks)

    def caller(self, peer: str, hops: list[str]) -> str:
        """The last hop that is no proxy; the last that can be read, where what stands before it cannot."""
        caller = peer
        for hop in reversed(hops):
            address = parse(_without_port(hop.strip()))
            if address is None:
                break
            caller = str(address)
            if caller not in self:
                break
        return caller


def was_forwarded(scope: Mapping[str, Any]) -> bool:
    """True where a proxy stands between, or somebody says so: then the peer's address says nothing of the caller."""
    return bool(scope.get("state", {}).get(_FORWARDED, False))


def parse(host: str) -> Address | None:
    """IPv4 that came in IPv6's clothes is IPv4; None for what is no address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def site_of(host: str) -> str:
    """Whom callers of that address count as: itself, or of IPv6 the /64 that one customer numbers as they like."""
    address = parse(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return host if address is None else str(address)


def is_this_machine(host: str) -> bool:
    """True for a name or address that nobody else reaches."""
    address = parse(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _tells(name: bytes) -> bool:
    return name.startswith(b"x-forwarded") or name in _OTHERS


def _without_port(hop: str) -> str:
    """`1.2.3.4:80` and `[::1]:80` have one."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
