"""Logging in: basic and digest (RFC 2617, RFC 7616; MD5 and SHA-256, with qop=auth and without)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_FIELD = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES = {"MD5": "md5", "SHA-256": "sha256"}


@dataclass(frozen=True, slots=True)
class Login:
    """A user and the password, which no text about it shows."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server wants proven: `scheme` basic or digest, and its fields with names in small letters."""

    scheme: str
    fields: dict[str, str] = field(repr=False)

    @property
    def strength(self) -> int:
        """The higher, the less an answer gives away; 0: nothing we can answer."""
        if self.scheme == "basic":
            return 1
        if self.scheme != "digest" or self._hash not in _HASHES or "nonce" not in self.fields:
            return 0
        if "qop" in self.fields and "auth" not in _listed(self.fields["qop"]):
            return 0
        return 2 if self._hash == "MD5" else 3

    @property
    def algorithm(self) -> str:
        """As the server spells it; MD5 where it names none."""
        return self.fields.get("algorithm", "MD5")

    @property
    def _hash(self) -> str:
        return self.algorithm.upper().removesuffix("-SESS")

    def digest_of(self, login: Login, method: str, url: str, count: int, cnonce: str) -> str:
        """The response value of a digest answer."""

        def hashed(*parts: str) -> str:
            return hashlib.new(_HASHES[self._hash], ":".join(parts).encode(), usedforsecurity=False).hexdigest()

        nonce = self.fields["nonce"]
        secret = hashed(login.user, self.fields.get("realm", ""), login.password)
        if self.algorithm.upper().endswith("-SESS"):
            secret = hashed(secret, nonce, cnonce)
        middle = (nonce, f"{count:08x}", cnonce, "auth") if "qop" in self.fields else (nonce,)
        return hashed(secret, *middle, hashed(method, url))


class Authenticator:
    """Answers a server's challenges for one login, best scheme first."""

    def __init__(self, login: Login | None, new_cnonce: Callable[[], str] = lambda: secrets.token_hex(8)) -> None:
        self._login = login
        self._new_cnonce = new_cnonce
        self._challenge: Challenge | None = None
        self._count = 0  # requests answered with the server's nonce

    def challenged(self, headers: Iterable[str]) -> bool:
        """Takes a server's WWW-Authenticate headers; True if there is an answer to one of them."""
        found = max(map(_challenge, headers), key=lambda one: one.strength, default=None)
        self._count = 0
        self._challenge = found if found is not None and found.strength and self._login is not None else None
        return self._challenge is not None

    def answer(self, method: str, url: str) -> str:
        """The Authorization header of a request; empty before any challenge."""
        login, challenge = self._login, self._challenge
        if login is None or challenge is None:
            return ""
        if challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        self._count += 1
        return _digest_answer(challenge, login, method, url, self._count, self._new_cnonce())


def _digest_answer(challenge: Challenge, login: Login, method: str, url: str, count: int, cnonce: str) -> str:
    given = challenge.fields
    fields = {"username": login.user, "realm": given.get("realm", ""), "nonce": given["nonce"], "uri": url}
    fields["response"] = challenge.digest_of(login, method, url, count, cnonce)
    if "opaque" in given:
        fields["opaque"] = given["opaque"]
    plain = {"algorithm": challenge.algorithm} if "algorithm" in given else {}
    if "qop" in given:
        plain |= {"qop": "auth", "nc": f"{count:08x}"}
    if "qop" in given or challenge.algorithm.upper().endswith("-SESS"):
        fields["cnonce"] = cnonce
    quoted = [f'{name}="{_escaped(value)}"' for name, value in fields.items()]
    return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in plain.items())])


def _challenge(header: str) -> Challenge:
    scheme, _, rest = header.strip().partition(" ")
    found = {name.lower(): _unescaped(quoted) or bare for name, quoted, bare in _FIELD.findall(rest)}
    return Challenge(scheme.lower(), found)


def _listed(text: str) -> list[str]:
    return [one.strip().lower() for one in text.split(",")]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
