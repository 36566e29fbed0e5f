"""Who may look: basic and digest authentication of RTSP requests (RFC 2617)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

_REALM = "Rayline"
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')

Scheme = Literal["basic", "digest"]


@dataclass(frozen=True, slots=True)
class Login:
    """The one user a server lets in."""

    user: str
    password: str = field(repr=False)
    scheme: Scheme = "digest"

    def challenge(self, nonce: str) -> str:
        """The WWW-Authenticate header that asks for it."""
        if self.scheme == "basic":
            return f'Basic realm="{_REALM}"'
        return f'Digest realm="{_REALM}", nonce="{nonce}", algorithm=MD5'

    def accepts(self, authorization: str, method: str, nonce: str) -> bool:
        """Whether an Authorization header proves the password, by the scheme asked for."""
        scheme, _, rest = authorization.strip().partition(" ")
        if scheme.lower() != self.scheme:
            return False
        return self._accepts_basic(rest) if self.scheme == "basic" else self._accepts_digest(rest, method, nonce)

    def _accepts_basic(self, encoded: str) -> bool:
        right = base64.b64encode(f"{self.user}:{self.password}".encode())
        return hmac.compare_digest(right, encoded.strip().encode())

    def _accepts_digest(self, text: str, method: str, nonce: str) -> bool:
        given = {key: quoted or bare for key, quoted, bare in _FIELD.findall(text)}
        if given.get("username") != self.user or given.get("nonce") != nonce:
            return False
        secret = _md5(f"{self.user}:{_REALM}:{self.password}")
        request = _md5(f"{method}:{given.get('uri', '')}")
        middle = nonce
        if "qop" in given:
            middle = ":".join((nonce, given.get("nc", ""), given.get("cnonce", ""), given["qop"]))
        return hmac.compare_digest(_md5(f"{secret}:{middle}:{request}").encode(), given.get("response", "").encode())


def new_nonce() -> str:
    """A value no earlier answer was made for."""
    return secrets.token_hex(16)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
