"""What strangers send, over real sockets: refused in the right words, and nobody else notices."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from pipeline.config import RaylineConfig
from pipeline.control.access.api_keys import ApiKey
from pipeline.control.access.rules import RULES, WEBSOCKET
from pipeline.control.access.tokens import OWN_ALGORITHM
from pipeline.sinks.redis_client import RedisSettings
from tests.api_paths import filled
from tests.api_server import ApiServer
from tests.services.api.abusing import KEY, MOST_GROWTH, NAMES, SECRET, lives, memory, raw, say, strict_api

pytestmark = pytest.mark.services


@pytest.fixture
async def api(redis: RedisSettings, config: RaylineConfig) -> AsyncIterator[ApiServer]:
    async with strict_api(redis, config) as running:
        yield running


def part(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def signed(secret: str = SECRET, algorithm: str = OWN_ALGORITHM, **claims: Any) -> str:
    """A good token of an admin but for what is given."""
    whole = {"sub": "eve", "iss": "rayline", "aud": "rayline", "exp": int(time.time()) + 60, "role": "admin"}
    return jwt.encode(whole | {"lines": ["*"]} | claims, secret, algorithm)


def without_signature() -> str:
    claims = jwt.decode(signed(), options={"verify_signature": False})
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def another_payload() -> str:
    head, _, signature = signed(role="viewer").split(".")
    return f"{head}.{signed().split('.')[1].replace('A', 'B')}.{signature}"


NOT_LET_IN = {
    "nothing": lambda: [],
    "alg none": lambda: [f"authorization: Bearer {without_signature()}"],
    "signed with another secret": lambda: [f"authorization: Bearer {signed('x' * 40)}"],
    "another payload": lambda: [f"authorization: Bearer {another_payload()}"],
    "expired": lambda: [f"authorization: Bearer {signed(exp=int(time.time()) - 60)}"],
    "for another audience": lambda: [f"authorization: Bearer {signed(aud='elsewhere')}"],
    "of another issuer": lambda: [f"authorization: Bearer {signed(iss='elsewhere')}"],
    "another algorithm": lambda: [f"authorization: Bearer {signed(algorithm='HS512')}"],
    "a key that was guessed": lambda: [f"x-api-key: {ApiKey.new().text}"],
    "its own key with a sign more": lambda: [f"x-api-key: {KEY.text}0"],
    "a password": lambda: ["authorization: Basic cm9vdDpyb290"],
    "a cookie": lambda: [f"cookie: token={KEY.text}; x-api-key={KEY.text}"],
}


@pytest.mark.parametrize("credential", NOT_LET_IN)
async def test_without_a_good_token_no_route_answers(api: ApiServer, credential: str) -> None:
    lines = NOT_LET_IN[credential]()
    for (method, path), rule in RULES.items():
        if rule.is_public:
            continue
        target = filled(path, **NAMES) + f"?token={KEY.text}&access_token={KEY.text}"
        if method == WEBSOCKET:
            upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
            said = await say(api, raw("GET", target, *upgrade, f"sec-websocket-key: {'A' * 22}==", *lines, key=False))
            assert said.status == 403, (method, path)
            continue
        said = await say(api, raw(method, target, "content-type: application/json", *lines, body=b"{}", key=False))
        assert said.status == 401, (method, path)
        assert said.problem()["title"] == "Unauthorized"
        assert said.headers["www-authenticate"].startswith("Bearer")
        assert KEY.text not in said.body.decode()
    await lives(api)


async def test_no_path_takes_a_method_it_does_not_tell_of(api: ApiServer) -> None:
    for path in {path for _, path in RULES}:
        allowed = {method for method, other in RULES if other == path} - {WEBSOCKET}
        allowed |= {"HEAD"} if path == "/openapi.json" else set()  # the framework's own
        for method in {
            "HEAD",
            "OPTIONS",
            "TRACE",
            "PUT",
            "PATCH",
            "DELETE",
            "POST",
            "GET",
            "PROPFIND",
            "get",
        } - allowed:
            said = await say(api, raw(method, filled(path, **NAMES), "transfer-encoding: chunked") + b"0\r\n\r\n")
            assert said.status == 405, (method, path)
            assert said.headers["allow"] == ", ".join(sorted(allowed)), (method, path)
            assert said.headers["content-type"] == "application/problem+json"
            assert KEY.text.encode() not in said.body
    assert (await say(api, raw("CONNECT", "127.0.0.1:6379"))).status in (400, 404)
    await lives(api)


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "..%5c..%5cwindows",
        "%2e%2e",
        "a%00",
        "a%0d%0aSet-Cookie:%20x=1",
        "%ff%fe",
        "%ed%a0%80",
        "%ef%bd%81",
        "a%e2%80%ae",
        "a;b=c",
        "a%20",
        "A",
        "*",
        "%7bl1%7d",
        "{camera}",
        "a%252fb",
        "-a",
        "a%0a",
        "'%20or%201=1--",
        "${jndi:ldap:%2f%2f127.0.0.1%2fa}",
        "x" * 4000,
    ],
)
async def test_a_name_that_is_none_leads_nowhere(api: ApiServer, name: str) -> None:
    for method, path in RULES:
        if "{" not in path or method == WEBSOCKET:
            continue
        target = filled(path, **dict.fromkeys(NAMES, name))
        said = await say(api, raw(method, target, "content-type: application/json", body=b'{"fps": 1}'))
        assert said.status in (404, 405, 422), (method, target)  # 405: with a slash in it, it is another path
        assert "\n" not in said.problem()["detail"]
        assert not {"set-cookie", "location"} & set(said.headers)
    for query in (f"camera={name}", f"line={name}"):
        assert (await say(api, raw("GET", f"/v1/stream/events?{query}"))).status in (404, 422), query
    await lives(api)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/cameras/../audit",
        "//v1/audit",
        "/v1//audit",
        "/v1/audit/",
        "/v1/audit/.",
        "/V1/audit",
        "/v1/audit%2f",
        "/",
        "http://elsewhere.example/v1/audit",
        "*",
        "/-/routes",
        "/docs",
        "/redoc",
        "/metrics",
        "/v1/audit;x",
        "/static",
    ],
)
async def test_there_is_no_second_way_to_a_route(api: ApiServer, target: str) -> None:
    for key in (True, False):
        said = await say(api, raw("GET", target, key=key))
        assert said.status == 404, said
        assert "location" not in said.headers
        said.problem()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["x-request-id: a%0d%0aset-cookie:%20b=c"], id="an end of line in signs"),
        pytest.param(["x-request-id: a\r\n set-cookie: b=c"], id="a folded line"),
        pytest.param(["x-request-id: a\rset-cookie: b=c"], id="half an end of line"),
        pytest.param(["x-request-id: a\nset-cookie: b=c"], id="the other half"),
        pytest.param(["x-request-id: a\0b"], id="a NUL"),
        pytest.param(["x-request-id: " + "a" * 5000], id="a long one"),
        pytest.param(["x-request-id: \xff\xfe"], id="no ASCII"),
        pytest.param(["x-request-id: <script>"], id="a tag"),
        pytest.param(["x-request-id : a"], id="a blank before the colon"),
        pytest.param([": a"], id="no name"),
        pytest.param(["host: 127.0.0.1"], id="a second host"),
        pytest.param(
            ["last-event-id: \xff", "if-none-match: \xff", "accept: \xff", "range: bytes=0-"], id="odd values"
        ),
        pytest.param(["if-none-match: " + '"a",' * 1000 + '"'], id="many tags"),
    ],
)
async def test_a_header_comes_back_as_it_may_or_not_at_all(api: ApiServer, lines: list[str]) -> None:
    said = await say(api, raw("GET", "/v1/cameras/a", *lines))
    assert said.status in (200, 400), said
    assert "set-cookie" not in said.headers
    if said.status == 200:
        assert said.headers["x-request-id"].isalnum()
    await lives(api)


async def test_ten_megabytes_of_headers_are_not_read(api: ApiServer) -> None:
    before = memory()
    for line in (b"a: " + b"x" * 10_000_000 + b"\r\n", b"a: b\r\n" * 1_500_000):
        said = await say(api, b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + line + b"\r\n", patience_s=30)
        assert said.status in (0, 400, 431)
        assert said.hung_up
    assert memory() - before < MOST_GROWTH
    await lives(api)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["content-length: 0", "transfer-encoding: chunked"], id="two ends"),
        pytest.param(["transfer-encoding: xchunked"], id="an encoding that is none"),
        pytest.param(["transfer-encoding: chunked, chunked"], id="twice chunked"),
        pytest.param(["content-length: +0"], id="a sign"),
        pytest.param(["content-length: 0x0"], id="another base"),
        pytest.param(["content-length: 0, 1"], id="a list"),
    ],
)
async def test_no_request_hides_behind_another(api: ApiServer, lines: list[str]) -> None:
    hidden = raw("DELETE", "/v1/cameras/a")
    said = await say(api, raw("POST", "/v1/detect", *lines) + b"0\r\n\r\n" + hidden)
    assert said.status in (400, 501), said
    assert said.hung_up
    assert (await say(api, raw("GET", "/v1/cameras/a"))).status == 200
