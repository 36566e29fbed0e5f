"""An identity provider's keys: fetched once for all who wait, found when they are new, kept while it is away."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.control.access import key_set
from pipeline.control.access.key_set import MOST_BYTES, REFETCH_S, KeySet, KeysUnusable, parse_keys
from pipeline.control.access.token_settings import ProviderSettings
from pipeline.control.problems import ApiError
from tests.jwks_server import AUDIENCE, ISSUER, Provider, ec_key, jwk, jwks_server, rsa_key

BOTH = frozenset({"RS256", "ES256"})
TTL_S, STALE_S = 100.0, 1000.0


class Clock:
    """A monotonic clock that goes on when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with jwks_server() as running:
        yield running


@pytest.fixture
def keys(provider: Provider, clock: Clock) -> KeySet:
    settings = ProviderSettings(
        jwks_url=provider.url, issuer=ISSUER, audience=AUDIENCE, jwks_ttl_s=TTL_S, jwks_stale_s=STALE_S
    )
    return KeySet(settings, clock)


async def test_callers_share_one_fetch(provider: Provider, keys: KeySet) -> None:
    found = await asyncio.gather(*(keys.find("k1") for _ in range(50)))
    assert all(found)
    assert provider.asked == 1


async def test_who_goes_away_takes_nobodys_keys_along(provider: Provider, keys: KeySet) -> None:
    provider.goes_on.clear()
    first = asyncio.create_task(keys.find("k1"))
    second = asyncio.create_task(keys.find("k1"))
    await provider.was_asked.wait()
    first.cancel()
    provider.goes_on.set()
    assert await second is not None
    assert provider.asked == 1


async def test_a_new_key_is_found_when_a_token_names_it(provider: Provider, keys: KeySet, clock: Clock) -> None:
    assert await keys.find("k1") is not None
    provider.keys = [jwk(rsa_key("k3"), "k3")]
    clock.now += REFETCH_S
    assert await keys.find("k3") is not None
    assert await keys.find("k1") is None  # withdrawn


async def test_invented_names_of_keys_are_not_asked_for_one_by_one(
    provider: Provider, keys: KeySet, clock: Clock
) -> None:
    for number in range(100):
        assert await keys.find(f"invented-{number}") is None
    assert provider.asked == 1
    clock.now += REFETCH_S
    await keys.find("invented")
    assert provider.asked == 2


async def test_a_withdrawn_key_is_believed_for_its_time_and_no_longer(
    provider: Provider, keys: KeySet, clock: Clock
) -> None:
    await keys.find("k1")
    provider.keys = [jwk(ec_key("k2"), "k2")]
    clock.now += TTL_S - 1
    assert await keys.find("k1") is not None
    clock.now += 1
    assert await keys.find("k1") is None


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"status": 500}, id="an error"),
        pytest.param({"status": 302}, id="sends elsewhere"),
        pytest.param({"body": b"x" * (MOST_BYTES + 1)}, id="too long"),
        pytest.param({"body": b"<html>"}, id="a page"),
        pytest.param({"body": b'{"keys": []}'}, id="no keys"),
        pytest.param({"body": b'{"keys": "k1"}'}, id="keys that are no list"),
        pytest.param({"body": b"[]"}, id="a list"),
    ],
)
async def test_older_keys_hold_while_the_provider_is_away(
    provider: Provider, keys: KeySet, clock: Clock, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    await keys.find("k1")
    for name, value in broken.items():
        setattr(provider, name, value)
    clock.now += TTL_S
    with caplog.at_level(logging.WARNING):
        assert await keys.find("k1") is not None
    assert f"keys of the identity provider at {provider.url}" in caplog.text
    clock.now += STALE_S + 1
    with pytest.raises(ApiError) as refused:
        await keys.find("k1")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "10")


async def test_a_slow_provider_holds_up_nobody_who_has_older_keys(
    provider: Provider, keys: KeySet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set, "PATIENCE_S", 0.01)
    await keys.find("k1")
    provider.goes_on.clear()
    provider.was_asked.clear()
    clock.now += TTL_S
    assert await keys.find("k1") is not None
    await asyncio.wait_for(provider.was_asked.wait(), 10)
    assert await keys.find("k1") is not None  # beside the fetch that still waits
    assert provider.asked == 2


async def test_a_provider_that_never_answers_is_given_up(
    provider: Provider, keys: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set, "TIMEOUT_S", 0.05)
    provider.goes_on.clear()
    with pytest.raises(ApiError) as refused:
        await keys.find("k1")
    assert refused.value.status == 503


async def test_a_provider_that_is_down_is_not_asked_for_each_token(keys: KeySet, provider: Provider) -> None:
    provider.status = 500
    for _ in range(20):
        with pytest.raises(ApiError):
            await keys.find("k1")
    assert provider.asked == 1


async def test_keys_may_stand_in_a_file(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(rsa_key("k1"), None)]}))
    keys = KeySet(ProviderSettings(jwks_file=file, issuer=ISSUER, audience=None), clock)
    assert await keys.find(None) is not None  # the only one there is
    assert await keys.find("k1") is None


def test_only_keys_that_may_sign_are_taken() -> None:
    entries: list[Any] = [
        jwk(rsa_key("k1"), "good"),
        jwk(rsa_key("k1"), "named", alg="RS256", use="sig"),
        jwk(rsa_key("k1"), "not believed", alg="RS512"),
        jwk(rsa_key("k1"), "for encryption", use="enc"),
        jwk(rsa_key("k1"), "says it is a secret", alg="HS256"),
        jwk(rsa_key("weak", 1024), "weak"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a secret"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "no point of the curve"},
        {"kty": "EC", "crv": ["P-256"], "kid": "odd"},
        jwk(rsa_key("k1"), "odd too", alg=["RS256"]),
        {"kty": "RSA", "n": 5, "e": None, "kid": "numbers"},
        {"kty": "RSA", "n": "", "e": "", "kid": "nothing"},
        "k",
        None,
    ]
    found = parse_keys(json.dumps({"keys": entries}).encode(), BOTH)
    assert set(found) == {"good", "named"}
    assert found["good"].algorithms == {"RS256"}


def test_of_two_keys_of_one_name_the_first_counts() -> None:
    found = parse_keys(json.dumps({"keys": [jwk(ec_key("a"), "k"), jwk(rsa_key("k1"), "k")]}).encode(), BOTH)
    assert found["k"].algorithms == {"ES256"}


def test_a_set_without_a_usable_key_is_told() -> None:
    with pytest.raises(KeysUnusable, match="ES256, RS256"):
        parse_keys(b'{"keys": [{"kty": "oct", "k": "AA"}]}', BOTH)
