"""Whom the API lets in: keys made by `rayline token make`, keys of the config file, and signed tokens."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from pipeline.control.access.roles import EVERY_LINE, Role
from pipeline.control.access.token_settings import OwnTokenSettings, ProviderSettings
from pipeline.names import Name, is_name
from stages.settings import Settings

_SHA256 = re.compile(r"[0-9a-f]{64}")


class DeclaredKey(Settings):
    """A key that stands in the config file by its hash: it lets in whatever Redis has lost."""

    model_config = ConfigDict(hide_input_in_errors=True)  # somebody may have put the key itself here

    name: Name = Field(description="Whose it is: what the audit log calls its bearer.")
    sha256: str = Field(description="Hash of the whole key, as `rayline token make --for-config` prints it.")
    role: Role = Field(Role.VIEWER, description="viewer, operator, engineer or admin.")
    lines: tuple[str, ...] = Field(
        (EVERY_LINE,), max_length=1000, description='Lines its bearer may see; "*" is every line.'
    )
    expires: datetime | None = Field(
        None, description="When it stops, such as 2027-06-30T00:00:00Z (UTC where nothing is said). null: never."
    )

    @field_validator("sha256")
    @classmethod
    def _is_a_hash(cls, text: str) -> str:
        if not _SHA256.fullmatch(text):
            raise ValueError("is no sha256 (64 hex digits): `rayline token hash` makes it of a key")
        return text

    @field_validator("lines")
    @classmethod
    def _are_lines(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            if line != EVERY_LINE and not is_name(line):
                raise ValueError(f"{line!r} cannot be a line's name")
        return lines

    @field_validator("expires")
    @classmethod
    def _has_a_zone(cls, expires: datetime | None) -> datetime | None:
        return expires.replace(tzinfo=UTC) if expires is not None and expires.tzinfo is None else expires


class AuthSettings(Settings):
    """Whom the API lets in. Keys made by `rayline token make` always hold; they are in Redis."""

    keys: tuple[DeclaredKey, ...] = Field(
        (), max_length=100, description="Keys that hold whatever happens to Redis, by their hashes."
    )
    own: OwnTokenSettings | None = Field(
        None, description="Signed tokens (JWT) of one's own, with a secret. null: there are none."
    )
    provider: ProviderSettings | None = Field(
        None, description="Signed tokens (JWT) of an identity provider. null: there is none."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        counts = Counter(key.name for key in self.keys)
        if twice := sorted(name for name, count in counts.items() if count > 1):
            raise ValueError(f"two keys are called {twice[0]!r}: nobody could tell whose request it was")
        return self
