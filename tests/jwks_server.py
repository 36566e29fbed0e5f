"""An identity provider for tests: keys of its own, tokens they sign, and a real web server that publishes them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://id.example/realms/plant", "rayline-plant"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One a name, for making them takes a while."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey) -> bytes:
    """The public half, as everybody may have it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public half as an entry of a JWKS."""
    public = key.public_key()
    made = (
        RSAAlgorithm.to_jwk(public, as_dict=True)
        if isinstance(public, rsa.RSAPublicKey)
        else ECAlgorithm.to_jwk(public, as_dict=True)
    )
    return {**made, **({"kid": kid} if kid is not None else {}), **more}


def token(
    key: Any = None,
    algorithm: str = "RS256",
    kid: str | None = "k1",
    header: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    """One that is good, but for what is given; a claim given as None is left out."""
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": now,
        "exp": now + 60,
        "role": "operator",
        "lines": ["l1"],
    }
    whole |= claims
    headers = {**({"kid": kid} if kid is not None else {}), **(header or {})}
    left = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(left, rsa_key("k1") if key is None else key, algorithm, headers)


@dataclass
class Provider:
    """What the server answers, and how often it was asked."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk(rsa_key("k1"), "k1"), jwk(ec_key("k2"), "k2")])
    url: str = ""
    asked: int = 0
    status: int = 200
    body: bytes | None = None  # in place of the keys
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)  # cleared, it answers nobody

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        self.was_asked.set()
        await self.goes_on.wait()
        headers = {"Location": "http://127.0.0.1:9/elsewhere"} if self.status == 302 else {}
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        return web.Response(status=self.status, body=body, content_type="application/json", headers=headers)


@asynccontextmanager
async def jwks_server() -> AsyncIterator[Provider]:
    """One on a free port of 127.0.0.1."""
    provider = Provider()
    provider.goes_on.set()
    app = web.Application()
    app.router.add_get("/jwks", provider.answer)
    async with TestServer(app) as server:
        provider.url = str(server.make_url("/jwks"))
        yield provider
        provider.goes_on.set()
