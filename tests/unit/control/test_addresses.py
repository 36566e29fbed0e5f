"""Whose word is taken for where a request comes from."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from pipeline.control.access.addresses import ClientAddress, was_forwarded
from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.problems import ApiError

PROXIES = ("10.0.0.0/8", "fd00::/8")


async def seen(
    peer: str | None, *headers: tuple[str, str], proxies: tuple[str, ...] = PROXIES, kind: str = "http"
) -> Scope:
    """The scope as the app gets it."""
    found: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.update(scope)

    async def nothing(*_: Any) -> Any: ...

    scope: Scope = {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "client": (peer, 5000) if peer is not None else None,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "state": {},
    }
    await ClientAddress(app, proxies)(scope, nothing, nothing)
    return found


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "caller"),
    [
        pytest.param("192.0.2.7", "127.0.0.1", "192.0.2.7", id="a stranger is not believed"),
        pytest.param("10.1.1.1", "198.51.100.4", "198.51.100.4", id="a proxy is"),
        pytest.param("10.1.1.1", "127.0.0.1, 198.51.100.4", "198.51.100.4", id="but not what it was told"),
        pytest.param("10.1.1.1", "6.6.6.6, 198.51.100.4, 10.2.2.2", "198.51.100.4", id="two proxies"),
        pytest.param("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3", id="a caller from among the proxies"),
        pytest.param("10.1.1.1", "198.51.100.4, nonsense", "10.1.1.1", id="a hop that cannot be read"),
        pytest.param("10.1.1.1", "198.51.100.4:8123", "198.51.100.4", id="with a port"),
        pytest.param("10.1.1.1", "[2001:db8::1]:8123", "2001:db8::1", id="with a port, in IPv6"),
        pytest.param("::ffff:10.1.1.1", "198.51.100.4", "198.51.100.4", id="a proxy on an IPv6 socket"),
        pytest.param("fd00::1", "2001:db8::1", "2001:db8::1", id="a proxy by IPv6"),
        pytest.param("10.1.1.1", "", "10.1.1.1", id="a proxy that says nothing"),
    ],
)
async def test_the_caller_is_who_the_last_proxy_saw(peer: str, forwarded_for: str, caller: str) -> None:
    scope = await seen(peer, ("x-forwarded-for", forwarded_for))
    assert scope["client"][0] == caller


async def test_several_headers_are_one_list() -> None:
    scope = await seen("10.1.1.1", ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.4"))
    assert scope["client"][0] == "198.51.100.4"


@pytest.mark.parametrize(
    ("peer", "kind", "scheme"),
    [("10.1.1.1", "http", "https"), ("10.1.1.1", "websocket", "wss"), ("192.0.2.7", "http", "http")],
)
async def test_the_scheme_is_the_proxys_word_too(peer: str, kind: str, scheme: str) -> None:
    assert (await seen(peer, ("x-forwarded-proto", "https"), kind=kind))["scheme"] == scheme


async def test_nobody_behind_it_sees_these_headers() -> None:
    told = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")
    for peer in ("10.1.1.1", "192.0.2.7"):
        scope = await seen(peer, *((name, "a") for name in told), ("accept", "b"))
        assert scope["headers"] == [(b"accept", b"b")]


@pytest.mark.parametrize(
    ("proxies", "headers"),
    [
        pytest.param(("127.0.0.0/8",), [], id="a trusted proxy here, that says nothing"),
        pytest.param(
            ("127.0.0.0/8",), [("x-forwarded-for", "127.0.0.1")], id="a trusted proxy here, for somebody here"
        ),
        pytest.param((), [("x-forwarded-for", "127.0.0.1")], id="a proxy here that nobody named"),
        pytest.param((), [("forwarded", "for=127.0.0.1")], id="one that speaks RFC 7239"),
        pytest.param((), [("via", "1.1 cache")], id="one that only says that it is there"),
    ],
)
async def test_what_a_proxy_brings_is_not_from_this_machine(
    proxies: tuple[str, ...], headers: list[tuple[str, str]]
) -> None:
    scope = await seen("127.0.0.1", *headers, ("host", "localhost"), proxies=proxies)
    assert was_forwarded(scope)
    with pytest.raises(ApiError):
        await OpenToLoopback().principal(HTTPConnection(scope))


async def test_who_comes_straight_from_this_machine_is() -> None:
    scope = await seen("127.0.0.1", ("host", "localhost"))
    assert (await OpenToLoopback().principal(HTTPConnection(scope))).kind == "loopback"


async def test_a_caller_without_an_address_stays_one() -> None:
    assert (await seen(None, ("x-forwarded-for", "10.1.1.1")))["client"] is None
