"""An API key: what its bearer holds, and what Rayline keeps of it, which is a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.control.access.roles import EVERY_LINE, Principal, Role

PREFIX = "rl_"  # tells it from a signed token, and tells scanners of repositories what they found
_ID_BYTES, _SECRET_BYTES = 5, 32
_KEY = re.compile(rf"{PREFIX}(?P<id>[0-9a-f]{{{2 * _ID_BYTES}}})_[0-9a-f]{{{2 * _SECRET_BYTES}}}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`rl_ID_SECRET`. The secret is 256 random bits, so one round of sha256 keeps it: nobody counts so far."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"ApiKey({self.key_id})"

    @classmethod
    def new(cls) -> ApiKey:
        """One that nobody has."""
        key_id = secrets.token_hex(_ID_BYTES)
        return cls(key_id, f"{PREFIX}{key_id}_{secrets.token_hex(_SECRET_BYTES)}")

    @classmethod
    def parse(cls, text: str) -> ApiKey | None:
        """None where the text cannot be one."""
        found = _KEY.fullmatch(text)
        return cls(found["id"], text) if found else None

    @property
    def sha256(self) -> str:
        """Of the whole key, its id included: no other id's entry can be met by it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key."""

    name: str
    sha256: str
    role: Role
    lines: tuple[str, ...] = (EVERY_LINE,)
    created_at: float = 0.0
    expires_at: float | None = None  # Unix time

    def principal(self) -> Principal:
        """Who comes with it."""
        return Principal(self.name, self.role, frozenset(self.lines), kind="key")

    def is_expired(self, now: float) -> bool:
        """True where it holds no more."""
        return self.expires_at is not None and now >= self.expires_at

    def to_json(self) -> bytes:
        """As it is stored."""
        return orjson.dumps(
            {
                "name": self.name,
                "sha256": self.sha256,
                "role": self.role.value,
                "lines": list(self.lines),
                "created_at": self.created_at,
                "expires_at": self.expires_at,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> KeyRecord | None:
        """What was stored; None where that is no key's record, which then opens nothing."""
        try:
            stored: Any = orjson.loads(data)
            return cls(
                name=str(stored["name"]),
                sha256=str(stored["sha256"]),
                role=Role(stored["role"]),
                lines=tuple(str(line) for line in stored["lines"]),
                created_at=float(stored["created_at"]),
                expires_at=None if stored["expires_at"] is None else float(stored["expires_at"]),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None
