"""Which addresses an image may be fetched from: judged on the address that is connected to, whatever named it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from pipeline.control.detect.settings import DetectLimits, Fetching

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The registries of special-purpose addresses, by hand: what `ipaddress` calls global differs between Pythons, and it
# counts multicast and the addresses that wrap others (6to4, Teredo, NAT64) as global.
_V4_NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local, and where clouds tell machines their secrets
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_V6_PUBLIC = ipaddress.IPv6Network("2000::/3")  # nothing else is given out
_V6_NOT_PUBLIC = (
    "2001::/23",  # Teredo, ORCHID, benchmarking and the like
    "2001:db8::/32",
    "2002::/16",  # 6to4: wraps an IPv4 address
    "2620:4f:8000::/48",
    "3fff::/20",
)
_NOT_PUBLIC: tuple[Network, ...] = tuple(ipaddress.ip_network(one) for one in (*_V4_NOT_PUBLIC, *_V6_NOT_PUBLIC))


class Reachable:
    """The addresses that `DetectLimits` lets images come from."""

    def __init__(self, limits: DetectLimits) -> None:
        self._fetch = limits.fetch
        self._hosts = frozenset(limits.allowed_hosts)
        self._networks = tuple(ipaddress.ip_network(one, strict=False) for one in limits.allowed_networks)

    def among(self, addresses: Iterable[str], host: str) -> list[Address]:
        """Those that may be connected to for this host's sake, in their order."""
        found = (_address(text) for text in addresses)
        return [address for address in found if address is not None and self.admits(address, host)]

    def admits(self, address: Address, host: str) -> bool:
        """True where it is public, or allowed by its network or its host's name."""
        if self._fetch is Fetching.OFF:
            return False
        address = _unwrapped(address)
        if any(address.version == network.version and address in network for network in self._networks):
            return True
        if host.lower().rstrip(".") in self._hosts:
            return not (address.is_link_local or address.is_multicast or address.is_unspecified)
        return self._fetch is Fetching.PUBLIC and is_public(address)


def is_public(address: Address) -> bool:
    """True for what the whole internet reaches and nothing near this machine answers to."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _V6_PUBLIC:
        return False
    return not any(address.version == network.version and address in network for network in _NOT_PUBLIC)


def _address(text: str) -> Address | None:
    """None for one with a zone id: it is link-local, and no stranger's to choose."""
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that is connected to where an IPv6 one merely spells it."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else address
