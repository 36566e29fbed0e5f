"""Keys and tokens at the whole API: made, sent in each way there is, revoked, and while Redis is away."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from pipeline.config import RaylineConfig
from pipeline.control.access import key_check
from pipeline.control.access.api_keys import ApiKey
from pipeline.control.access.authenticator import authenticator_for
from pipeline.control.access.key_check import HELD_S, KeyCheck
from pipeline.control.access.key_store import MOST_KEYS, KeyStore, KeyStoreError
from pipeline.control.access.refusals import BadCredential
from pipeline.control.access.roles import Principal, Role
from pipeline.control.access.settings import DeclaredKey
from pipeline.control.access.tokens import sign
from pipeline.control.problems import ApiError
from pipeline.control.settings import ApiSettings
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from tests.api_client import api_client
from tests.redis_server import redis_server
from tests.services.api.clock import Clock

pytestmark = pytest.mark.services

SECRET = "0123456789abcdef" * 4
DAY_S = 86_400.0


async def make(
    pool: RedisPool,
    name: str = "erp",
    role: Role = Role.VIEWER,
    lines: tuple[str, ...] = ("*",),
    life_s: float | None = None,
) -> ApiKey:
    async with pool.use() as client:
        return await KeyStore(client).make(name, role, lines, life_s)


@asynccontextmanager
async def asking(redis: RedisSettings, config: RaylineConfig, **auth: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that is open to nobody."""
    settings = ApiSettings(auth=auth)
    pool = RedisPool(redis)
    try:
        async with api_client(
            redis, config, settings=settings, authenticator=authenticator_for(settings, pool)
        ) as client:
            yield client
    finally:
        await pool.close()


async def test_a_key_is_let_in_by_either_header(redis: RedisSettings, config: RaylineConfig, pool: RedisPool) -> None:
    key = await make(pool)
    async with asking(redis, config) as asks:
        for headers in (
            {"Authorization": f"Bearer {key.text}"},
            {"X-API-Key": key.text},
            {"authorization": f"bearer  {key.text}"},
        ):
            assert (await asks.get("/openapi.json", headers=headers)).status_code == 200, headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nothing"),
        pytest.param({"Authorization": "Basic YTpi"}, 401, id="a password"),
        pytest.param({"Authorization": "Bearer"}, 401, id="no token"),
        pytest.param({"Authorization": "Bearer x", "X-API-Key": "y"}, 400, id="two at once"),
        pytest.param({"Authorization": "Bearer " + "x" * 9000}, 401, id="far too long"),
        pytest.param({"X-API-Key": "rl_"}, 401, id="no key"),
        pytest.param({"X-API-Key": f"rl_{'0' * 10}_{'0' * 64}"}, 401, id="a key nobody made"),
        pytest.param({"X-API-Key": f"rl_{'0' * 10}_{'0' * 64}\n"}, 401, id="with an end of line"),
        pytest.param({"X-API-Key": "eyJhbGciOiJub25lIn0.e30."}, 401, id="a token without a signature"),
    ],
)
async def test_others_are_told_how_it_goes(
    redis: RedisSettings, config: RaylineConfig, headers: dict[str, str], status: int
) -> None:
    async with asking(redis, config) as asks:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        answer = await asks.get("/openapi.json", headers=raw)
    assert answer.status_code == status
    assert answer.headers["www-authenticate"].startswith('Bearer realm="rayline"')
    assert ("error=" in answer.headers["www-authenticate"]) == bool(headers)  # RFC 6750: no error where nothing came


async def test_a_token_in_the_address_is_no_token(redis: RedisSettings, config: RaylineConfig, pool: RedisPool) -> None:
    key = await make(pool)
    async with asking(redis, config) as asks:
        for name in ("access_token", "token", "api_key", "key"):
            assert (await asks.get("/openapi.json", params={name: key.text})).status_code == 401


def _handshake(*protocols: str) -> HTTPConnection:
    return HTTPConnection(
        {"type": "websocket", "headers": [], "client": ("10.0.0.9", 1), "subprotocols": list(protocols)}
    )


async def test_a_page_sends_its_token_as_a_subprotocol(pool: RedisPool) -> None:
    key = await make(pool, role=Role.OPERATOR, lines=("l1",))
    check = authenticator_for(ApiSettings(), pool)
    who = await check.principal(_handshake("rayline.bearer", key.text))
    assert who == Principal("erp", Role.OPERATOR, frozenset({"l1"}), "key")
    for others in ((key.text,), ("rayline.bearer",), (key.text, "rayline.bearer")):
        with pytest.raises(ApiError):
            await check.principal(_handshake(*others))


async def test_where_it_is_open_what_was_sent_counts_all_the_same(pool: RedisPool) -> None:
    key = await make(pool)
    check = authenticator_for(ApiSettings(open_to_loopback=True), pool)

    def connection(*headers: tuple[bytes, bytes]) -> HTTPConnection:
        return HTTPConnection(
            {"type": "http", "headers": [(b"host", b"localhost"), *headers], "client": ("127.0.0.1", 1)}
        )

    assert (await check.principal(connection())).kind == "loopback"
    assert (await check.principal(connection((b"x-api-key", key.text.encode())))).role is Role.VIEWER
    with pytest.raises(BadCredential):  # not let in as somebody else
        await check.principal(connection((b"x-api-key", key.text[:-1].encode() + b"x")))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key, _: key.text[:-1] + ("0" if key.text[-1] != "0" else "1"), id="one digit"),
        pytest.param(lambda key, other: f"rl_{other.key_id}_{key.text[14:]}", id="another's id"),
        pytest.param(lambda key, _: key.text.upper(), id="in capitals"),
        pytest.param(lambda key, _: key.text + "0", id="longer"),
        pytest.param(lambda key, _: key.sha256, id="its hash"),
        pytest.param(lambda key, _: f"rl_{key.key_id}_{key.sha256}", id="its hash for its secret"),
        pytest.param(lambda key, _: f"rl_*_{key.text[14:]}", id="a pattern for an id"),
    ],
)
async def test_nearly_a_key_is_no_key(pool: RedisPool, change: Any) -> None:
    key, other = await make(pool), await make(pool, "other")
    with pytest.raises(BadCredential) as refused:
        await KeyCheck((), pool).principal(change(key, other))
    assert "erp" not in str(refused.value)


async def test_a_revoked_key_is_refused_within_seconds_and_redis_is_asked_as_seldom(pool: RedisPool) -> None:
    monotonic = Clock()
    key = await make(pool)
    check = KeyCheck((), pool, monotonic=monotonic)
    await check.principal(key.text)
    async with pool.use() as client:
        await KeyStore(client).revoke("erp")
    assert (await check.principal(key.text)).name == "erp"  # as it was looked up
    monotonic.now += HELD_S
    with pytest.raises(BadCredential):
        await check.principal(key.text)


async def test_a_new_key_holds_at_once(pool: RedisPool) -> None:
    check = KeyCheck((), pool)
    with pytest.raises(BadCredential):
        await check.principal(ApiKey.new().text)
    assert (await check.principal((await make(pool)).text)).name == "erp"


async def test_a_key_ends_with_its_time(pool: RedisPool) -> None:
    clock = Clock()
    async with pool.use() as client:
        key = await KeyStore(client, clock=clock).make("erp", Role.VIEWER, ("*",), DAY_S)
    check = KeyCheck((), pool, clock=clock)
    clock.now += DAY_S - 1
    await check.principal(key.text)
    clock.now += 1
    with pytest.raises(ApiError, match="has expired") as refused:
        await check.principal(key.text)
    assert not isinstance(refused.value, BadCredential)  # its bearer is no stranger


async def test_guesses_take_no_room(pool: RedisPool) -> None:
    check = KeyCheck((), pool)
    for _ in range(50):
        with pytest.raises(BadCredential):
            await check.principal(ApiKey.new().text)
    assert not check._held


async def test_redis_holds_no_key(redis: RedisSettings, pool: RedisPool) -> None:
    key = await make(pool)
    secret = key.text.rpartition("_")[2].encode()
    async with pool.use() as client:
        stored = await client.hgetall("rayline:api:keys")
    assert all(secret not in value for value in stored.values())
    assert hashlib.sha256(key.text.encode()).hexdigest().encode() in stored[key.key_id.encode()]
    assert secret.decode() not in repr(key)


async def test_what_others_wrote_there_opens_nothing(pool: RedisPool) -> None:
    key = ApiKey.new()
    for stored in (b"", b"null", b"[]", b'{"sha256": "x"}', b'{"name":"a","sha256":1,"role":"king","lines":[]}'):
        async with pool.use() as client:
            await client.hset("rayline:api:keys", key.key_id, stored)
        with pytest.raises(BadCredential):
            await KeyCheck((), pool).principal(key.text)


async def test_names_are_given_once_and_places_end(pool: RedisPool, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(pool)
    with pytest.raises(KeyStoreError, match="already"):
        await make(pool)
    monkeypatch.setattr("pipeline.control.access.key_store.MOST_KEYS", 1)
    assert MOST_KEYS == 1000
    with pytest.raises(KeyStoreError, match="revoke those"):
        await make(pool, "another")


async def test_keys_of_the_file_and_signed_tokens_hold_while_redis_is_away(tmp_path: Path) -> None:
    declared, kept = ApiKey.new(), None
    with redis_server(tmp_path, password="hush-hush") as server:
        redis = RedisSettings(url=server.url, retries=0)
        pool = RedisPool(redis)
        kept = await make(pool)
        settings = ApiSettings(
            auth={"keys": [{"name": "mes", "sha256": declared.sha256, "role": "operator"}], "own": {"secret": SECRET}}
        )
        own = settings.auth.own
        assert own is not None
        server.kill()
        async with api_client(redis, settings=settings, authenticator=authenticator_for(settings, pool)) as asks:

            async def status(credential: str) -> int:
                answer = await asks.get("/openapi.json", headers={"Authorization": f"Bearer {credential}"})
                assert "hush-hush" not in answer.text
                return answer.status_code

            assert await status(declared.text) == 200
            assert await status(sign(own, "ada", Role.VIEWER, ("*",), 60)) == 200
            assert await status(kept.text) == 503  # not 401: it may be right
            assert await status("rl_nonsense") == 401
        with pytest.raises(SinkUnavailable):
            await KeyCheck((), pool).principal(kept.text)
        await pool.close()


async def test_a_key_of_the_file_ends_too(pool: RedisPool) -> None:
    key = ApiKey.new()
    for expires, holds in (
        (datetime.now(UTC) + timedelta(hours=1), True),
        (datetime.now(UTC) - timedelta(hours=1), False),
    ):
        check = KeyCheck((DeclaredKey(name="mes", sha256=key.sha256, role=Role.VIEWER, expires=expires),), pool)
        if holds:
            assert (await check.principal(key.text)).name == "mes"
        else:
            with pytest.raises(ApiError, match="expired"):
                await check.principal(key.text)


async def test_who_guesses_is_stopped_and_a_right_key_from_there_waits_too(
    redis: RedisSettings, config: RaylineConfig, pool: RedisPool
) -> None:
    key = await make(pool)
    settings = ApiSettings(rate_limits={"failed": "3/hour"})
    check = authenticator_for(settings, pool)
    async with api_client(redis, config, settings=settings, authenticator=check) as asks:
        guesses = [await asks.get("/openapi.json", headers={"X-API-Key": ApiKey.new().text}) for _ in range(5)]
        right = await asks.get("/openapi.json", headers={"X-API-Key": key.text})
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429]
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) >= 1
    async with api_client(redis, settings=settings, authenticator=check, client=("10.0.0.9", 1)) as asks:
        assert (await asks.get("/openapi.json", headers={"X-API-Key": key.text})).status_code == 200


async def test_an_old_token_or_none_is_no_guess(redis: RedisSettings, config: RaylineConfig) -> None:
    settings = ApiSettings(rate_limits={"failed": "3/hour"}, auth={"own": {"secret": SECRET}})
    own = settings.auth.own
    assert own is not None
    old = {"Authorization": f"Bearer {sign(own, 'ada', Role.VIEWER, ('*',), -3600)}"}
    pool = RedisPool(redis)
    async with api_client(redis, config, settings=settings, authenticator=authenticator_for(settings, pool)) as asks:
        answers = [(await asks.get("/openapi.json", headers=headers)).status_code for headers in [old, {}] * 5]
    await pool.close()
    assert answers == [401] * 10


def test_a_revoked_key_holds_no_longer_than_the_command_says() -> None:
    from pipeline.commands import token

    assert f"within {key_check.HELD_S:g} s" in (token.revoke.__doc__ or "")
