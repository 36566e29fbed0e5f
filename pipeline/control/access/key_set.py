"""The public keys of an identity provider (JWKS): fetched when they are needed, and no more often than that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.control.access.token_settings import ProviderSettings
from pipeline.control.problems import busy
from stages.errors import RaylineError

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

logger = logging.getLogger(__name__)

REFETCH_S = 10.0  # least time between two fetches: a stranger who makes up key names does not make us ask for each
TIMEOUT_S = 5.0
PATIENCE_S = 0.5  # how long a caller waits for a fetch while there are older keys to go by
MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
_RSA_BITS = range(2048, 8193)  # shorter is broken, longer takes all day

_OF_TYPE: Mapping[tuple[str | None, str | None], frozenset[str]] = {
    ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
_PUBLIC_PARTS = ("kty", "n", "e", "crv", "x", "y")


class KeysUnusable(RaylineError):
    """What was fetched is no set of keys, or could not be fetched."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key, and the signatures it may have made: that is the key's to say, not a token's."""

    key: AllowedPublicKeys
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: Mapping[str, PublicKey]
    at: float


@dataclass(slots=True)
class KeySet:
    """Finds the key a token names. Callers that need the same fetch share it."""

    settings: ProviderSettings
    clock: Callable[[], float] = time.monotonic
    _fetched: _Fetched | None = field(default=None, init=False)
    _tried_at: float | None = field(default=None, init=False)
    _fetching: asyncio.Task[None] | None = field(default=None, init=False)

    async def find(self, kid: str | None) -> PublicKey | None:
        """The key of that name, or the only one where a token names none; None where there is no such key.

        Raises ApiError 503 while there is no set to look in: none was ever got, or it is older than `jwks_stale_s`.
        """
        if self._age() >= self.settings.jwks_ttl_s:
            await self._refresh()
        keys = self._usable()
        found = _named(kid, keys)
        if found is None:  # a new key, or somebody's invention
            await self._refresh()
            found = _named(kid, self._usable())
        return found

    def _age(self) -> float:
        return float("inf") if self._fetched is None else self.clock() - self._fetched.at

    def _usable(self) -> Mapping[str, PublicKey]:
        if self._fetched is None or self._age() > self.settings.jwks_ttl_s + self.settings.jwks_stale_s:
            raise busy("the identity provider's keys cannot be had: tokens cannot be checked now", int(REFETCH_S))
        return self._fetched.keys

    async def _refresh(self) -> None:
        if self._fetching is None:
            now = self.clock()
            if self._tried_at is not None and now - self._tried_at < REFETCH_S:
                return
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch())  # not the caller's own: it may be cancelled
        has_older = self._age() <= self.settings.jwks_ttl_s + self.settings.jwks_stale_s
        await asyncio.wait({self._fetching}, timeout=PATIENCE_S if has_older else TIMEOUT_S + 1)

    async def _fetch(self) -> None:
        try:
            body = await _read(self.settings)
            keys = parse_keys(body, frozenset(self.settings.algorithms))
        except KeysUnusable as exc:
            logger.warning("keys of the identity provider at %s: %s", self.settings.place, exc)
        else:
            self._fetched = _Fetched(keys, self.clock())
        finally:
            self._fetching = None


def _named(kid: str | None, keys: Mapping[str, PublicKey]) -> PublicKey | None:
    if kid is None:
        return next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(kid)


def parse_keys(body: bytes, believed: frozenset[str]) -> dict[str, PublicKey]:
    """The usable keys of a JWKS by name. Secrets, keys for encryption and weak ones are left out.

    Raises KeysUnusable where none is left: a broken answer must not take the place of a good one.
    """
    try:
        entries = orjson.loads(body)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise KeysUnusable("not a JWKS, which is a JSON object with `keys`") from None
    if not isinstance(entries, list):
        raise KeysUnusable("not a JWKS: `keys` is no list")
    found: dict[str, PublicKey] = {}
    for entry in entries[:_MOST_KEYS]:
        key = _public_key(entry, believed)
        if key is not None:
            found.setdefault(str(entry.get("kid", "")), key)
    if not found:
        raise KeysUnusable(f"no key in it that makes {', '.join(sorted(believed))}")
    return found


def _public_key(entry: Any, believed: frozenset[str]) -> PublicKey | None:
    import jwt

    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    public = {part: entry[part] for part in _PUBLIC_PARTS if isinstance(entry.get(part), str)}
    algorithms = _OF_TYPE.get((public.get("kty"), public.get("crv")), frozenset()) & believed
    named = entry.get("alg")
    algorithms = frozenset(one for one in algorithms if named is None or named == one)
    if not algorithms:
        return None
    try:
        key = jwt.PyJWK(public, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, ValueError) as exc:
        logger.warning("a key of the identity provider is left out: %s", type(exc).__name__)
        return None
    if public["kty"] == "RSA" and key.key_size not in _RSA_BITS:
        logger.warning("an RSA key of the identity provider is left out: %d bits", key.key_size)
        return None
    return PublicKey(key, algorithms)


async def _read(settings: ProviderSettings) -> bytes:
    if settings.jwks_url is not None:
        return await _download(settings.jwks_url)
    assert settings.jwks_file is not None  # noqa: S101 - checked when the settings were made
    return await asyncio.to_thread(_of_file, settings.jwks_file)


def _of_file(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
    except OSError as exc:
        raise KeysUnusable(exc.strerror or type(exc).__name__) from None
    return _not_too_long(body)


async def _download(url: str) -> bytes:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != 200:  # a redirect too: the keys are where the settings say, or nowhere
                raise KeysUnusable(f"it answered {answer.status}")
            body = b""
            async for chunk in answer.content.iter_chunked(16_384):
                body = _not_too_long(body + chunk)
            return body
    except TimeoutError:
        raise KeysUnusable(f"no answer within {TIMEOUT_S:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        raise KeysUnusable(type(exc).__name__) from exc


def _not_too_long(body: bytes) -> bytes:
    if len(body) > MOST_BYTES:
        raise KeysUnusable(f"it is longer than {MOST_BYTES // 1024} kB")
    return body
