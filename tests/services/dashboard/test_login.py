"""Who is let in, by which forms and sockets, and until when."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from pipeline.config import RaylineConfig
from pipeline.control.access.key_check import HELD_S
from pipeline.control.access.key_store import KeyStore
from pipeline.control.access.roles import Role
from pipeline.dashboard.settings import DashboardSettings
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.dashboard_server import DashboardServer, dashboard_server
from tests.nginx import nginx
from tests.redis_server import RedisServer, redis_server
from tests.services.dashboard.visitor import Visitor

pytestmark = pytest.mark.services

ELSEWHERE = "https://elsewhere.example"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture(scope="module")
def closed(server: RedisServer) -> Iterator[DashboardServer]:
    """Open to nobody without a key, behind a proxy on this machine."""
    with dashboard_server(RaylineConfig(), server.url, DashboardSettings(trusted_proxies=("127.0.0.1",))) as running:
        yield running


async def key(
    redis: RedisSettings, name: str = "anna", role: Role = Role.VIEWER, lines: tuple[str, ...] = ("*",)
) -> str:
    client = connect(redis)
    made = await KeyStore(client).make(name, role, lines, None)
    await client.aclose()
    return made.text


async def revoke(redis: RedisSettings, name: str = "anna") -> None:
    client = connect(redis)
    await KeyStore(client).revoke(name)
    await client.aclose()


@pytest.mark.parametrize("path", ["/", "/lines", "/cameras", "/inspections/x", "/system", "/alarms", "/pictures/x/y"])
async def test_nobody_sees_a_page_or_a_picture(closed: DashboardServer, redis: RedisSettings, path: str) -> None:
    async with Visitor(closed) as nobody:
        page = await nobody.get(path)
        assert page.status == 303
        assert page.headers["Location"] == f"/login?next={path}"
        assert (await nobody.get(path, Accept="image/jpeg")).status == 401
        assert (await nobody.get("/_nicegui/auto/static/x/y")).status == 303
        assert (await nobody.get("/assets/rayline.css")).status == 200


async def test_a_key_opens_and_logging_out_closes(closed: DashboardServer, redis: RedisSettings) -> None:
    async with Visitor(closed) as anna:
        answer = await anna.log_in(await key(redis), "/system?x=1")
        assert answer.status == 303
        assert answer.headers["Location"] == "/system?x=1"
        cookie = next(one for one in answer.headers.getall("Set-Cookie") if one.startswith("rayline_session="))
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        page = await anna.get("/lines")
        assert page.status == 200
        assert "anna (viewer)" in await page.text()
        assert (await anna.post("/logout", {"form": "0" * 64})).status == 403  # a form that is not ours
        form = await anna.form_of_page("/lines")
        assert (await anna.post("/logout", {"form": form})).status == 303
        assert (await anna.get("/lines")).status == 303


async def test_behind_a_tls_proxy_the_cookie_goes_by_https_alone(closed: DashboardServer, redis: RedisSettings) -> None:
    async with Visitor(closed, HTTPS) as anna:
        held = {cookie.partition("=")[0] for cookie in (await anna.get("/login")).headers.getall("Set-Cookie")}
        assert held == {"__Host-rayline_form"}
        assert "Secure" in (await anna.get("/login")).headers["Set-Cookie"]


async def test_the_shipped_nginx_hands_on_login_and_socket(
    closed: DashboardServer, redis: RedisSettings, tmp_path: Path
) -> None:
    with nginx(tmp_path, upstream=1, page=closed.settings.port) as proxy:
        address = f"https://localhost:{proxy.page}"
        async with Visitor(address, {"X-Forwarded-Prefix": "/x", "X-Forwarded-Host": "elsewhere"}, proxy.trust) as anna:
            answer = await anna.log_in(await key(redis))
            cookie = next(one for one in answer.headers.getall("Set-Cookie") if "rayline_session=" in one)
            assert cookie.startswith("__Host-rayline_session=")
            assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
            page = await anna.open_page()
            async with anna.socket(page) as socket:
                assert (await socket.receive_str()).startswith("0{")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with anna.socket(page, ELSEWHERE):
                    pass


@pytest.mark.parametrize(
    "following",
    [ELSEWHERE, "//elsewhere.example", "/\\elsewhere.example", "javascript:alert(1)", "/login", "/\r\nX: y"],
)
async def test_a_login_goes_on_to_our_own_pages_alone(
    closed: DashboardServer, redis: RedisSettings, following: str
) -> None:
    async with Visitor(closed) as anna:
        assert (await anna.log_in(await key(redis), following)).headers["Location"] == "/lines"


async def test_a_form_of_another_page_is_refused(closed: DashboardServer, redis: RedisSettings) -> None:
    async with Visitor(closed) as anna, Visitor(closed) as other:
        fields = {"form": await anna.form(), "next": "/lines", "credential": await key(redis)}
        assert (await anna.post("/login", fields, ELSEWHERE)).status == 403
        assert (await anna.post("/login", fields, "null")).status == 403
        assert (await anna.post("/login", fields, None)).status == 403
        assert (await other.post("/login", fields)).status == 403  # who was not given it
        assert (await anna.post("/login", fields)).status == 303


async def test_who_guesses_is_told_to_wait(closed: DashboardServer, redis: RedisSettings) -> None:
    async with Visitor(closed, {"X-Forwarded-For": "192.0.2.99"}) as guesser:
        statuses = [(await guesser.log_in(f"rl_{number:010x}_{'0' * 64}")).status for number in range(22)]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert (await guesser.log_in(await key(redis))).status == 429


async def test_a_socket_is_for_who_loaded_its_page(closed: DashboardServer, redis: RedisSettings) -> None:
    anna_key, other_key = await key(redis), await key(redis, "other")
    async with Visitor(closed) as anna, Visitor(closed) as other, Visitor(closed) as nobody:
        await anna.log_in(anna_key)
        await other.log_in(other_key)
        page = await anna.open_page()
        for who, origin in ((nobody, ""), (other, ""), (anna, ELSEWHERE), (anna, None)):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with who.socket(page, origin):
                    pass
        async with anna.socket(page) as socket:
            assert (await socket.receive_str()).startswith("0{")
        assert (await anna.get(f"/_nicegui_ws/socket.io/?client_id={page}&EIO=4&transport=polling")).status == 426


async def test_an_event_counts_for_its_own_sockets_page_alone(closed: DashboardServer, redis: RedisSettings) -> None:
    """Another's page id, once known, opens nothing: neither its events nor a second handshake."""
    anna_key, other_key = await key(redis), await key(redis, "other")
    async with Visitor(closed) as anna, Visitor(closed) as other:
        await anna.log_in(anna_key)
        await other.log_in(other_key)
        hers, its = await anna.open_page(), await other.open_page()
        async with other.socket(its) as socket:
            await socket.receive_str()
            await socket.send_str("40")
            assert (await socket.receive_str()).startswith("40")
            await socket.send_str(f'420["handshake",{{"client_id":"{hers}","tab_id":"x","document_id":"y"}}]')
            assert await socket.receive_str() == "430[false]"


async def test_a_revoked_key_ends_the_session_and_its_open_page(closed: DashboardServer, redis: RedisSettings) -> None:
    text = await key(redis)
    async with Visitor(closed) as anna:
        await anna.log_in(text)
        page = await anna.open_page()
        async with anna.socket(page) as socket:
            await socket.receive_str()
            await socket.send_str("40")
            await socket.receive_str()
            asked = {"client_id": page, "tab_id": "x", "document_id": "y", "next_message_id": "0"}
            await socket.send_json(asked, dumps=lambda value: f'420["handshake",{json.dumps(value)}]')
            revoked_at = time.monotonic()
            await revoke(redis)
            while (message := await socket.receive(15)).type is aiohttp.WSMsgType.TEXT:
                if message.data == "2":  # its ping
                    await socket.send_str("3")
            assert time.monotonic() - revoked_at < 12
        assert (await anna.get("/lines")).status == 303


async def test_while_redis_is_away_who_is_in_stays_and_nobody_else_comes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        redis_server(tmp_path_factory.mktemp("away"), "7.0", keep=True) as own,
        dashboard_server(RaylineConfig(), own.url, DashboardSettings()) as running,
    ):
        redis = RedisSettings(url=own.url)
        text = await key(redis)
        async with Visitor(running) as anna, Visitor(running) as late:
            await anna.log_in(text)
            own.kill()
            await asyncio.sleep(HELD_S + 0.5)
            assert (await anna.get("/lines")).status == 200
            assert (await late.log_in(text)).status == 503
            own.start()
            await revoke(redis)
            await asyncio.sleep(HELD_S + 0.5)
            assert (await anna.get("/lines")).status == 303


async def test_pages_tell_browsers_to_load_nothing_from_elsewhere(
    closed: DashboardServer, redis: RedisSettings
) -> None:
    async with Visitor(closed) as anna:
        await anna.log_in(await key(redis))
        page = await anna.get("/lines")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"


async def test_open_to_this_machine_is_not_open_to_a_name_that_was_rebound(
    server: RedisServer, redis: RedisSettings
) -> None:
    with dashboard_server(RaylineConfig(), server.url) as running:
        async with Visitor(running) as here:
            assert (await here.get("/lines")).status == 200
            assert (await here.get("/lines", Host="elsewhere.example")).status == 303
            assert (await here.get("/lines", **{"X-Forwarded-For": "192.0.2.1"})).status == 303
            assert (await here.get("/lines", **{"Sec-Fetch-Site": "cross-site"})).status == 303


async def test_pages_that_were_refused_leave_room_for_others(server: RedisServer, redis: RedisSettings) -> None:
    with dashboard_server(RaylineConfig(), server.url, DashboardSettings(max_pages=1)) as narrow:
        async with Visitor(narrow) as anna:
            await anna.log_in(await key(redis, lines=("l1",)))
            for _ in range(5):
                assert (await anna.get("/lines/l2")).status == 404  # none of hers
                assert (await anna.get("/cameras/none")).status == 503  # nothing runs
            assert (await anna.get("/lines/l1")).status == 200
            for _ in range(5):
                assert (await anna.get("/lines/l1")).status == 503  # full
