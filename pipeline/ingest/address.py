"""Where pictures come from, said without its password: addresses that hide what is secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SecretStr
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipeline.masking import MASK, login_end, mask_address
from pipeline.masking import mask as mask_addresses

NETWORK_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps")
KAFKA = "kafka"  # what follows names an entry of `topics` in the configuration
SCHEMES = (*NETWORK_SCHEMES, "file", "v4l2", KAFKA)
_SHORTEST_SECRET = 3  # a shorter one is hidden only where it stands as a password, or half of the text would go

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
# user=admin_password=x_channel=1.sdp: some recorders want it in the path, where no rule says how it ends.
_IN_PATH = re.compile(
    r"(?P<key>(?:pass(?:wor[dt]|wd)?|pwd|psw|(?<![a-z])pw|loginpas|token|secret)=)[^&\s'\"<>/?]+", re.IGNORECASE
)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without credentials: these secrets in every spelling, and what looks like one in an address.

    The user's name stays, to tell which login it was.
    """
    for secret in sorted({form for s in secrets for form in _spellings(s)}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _IN_PATH.sub(rf"\g<key>{MASK}", mask_addresses(text))


def _spellings(secret: str) -> set[str]:
    plain = unquote(secret)
    escaped = quote(plain, safe="")
    forms = {secret, plain, escaped, quote(plain), re.sub("%..", lambda code: code.group().lower(), escaped)}
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}


class SecretUrl(SecretStr):
    """An address. `str`, `repr` and JSON hide its password; only `get_secret_value` and `reveal` give it."""

    @property
    def scheme(self) -> str:
        """In small letters; `file` for a bare path."""
        found = _SCHEME.match(self._raw)
        return found.group(1).lower() if found else "file"

    @property
    def is_network(self) -> bool:
        """True where a server is asked."""
        return self.scheme in NETWORK_SCHEMES

    @property
    def path(self) -> str:
        """Of a `file:` or `v4l2:` address, or a bare path: the path in the file system."""
        if not _SCHEME.match(self._raw):
            return self._raw
        rest = self._raw.split(":", 1)[1]
        if not rest.startswith("//"):
            return rest
        return unquote(rest[2:].removeprefix("localhost"))

    @property
    def place(self) -> str:
        """Of a network address: host, port and what follows, without the login."""
        return self._split()[1]

    def reveal(self, username: str | None = None, password: str | None = None) -> str:
        """The address as the server needs it, with these credentials in place of its own where given.

        `login_end` of pipeline.masking tells where its own end; they are given on as they stand.
        """
        if username is None and password is None:
            return self._raw
        own, place = self._split()
        own_name, _, own_password = own.partition(":")
        name = own_name if username is None else quote(username, safe="")
        secret = own_password if password is None else quote(password, safe="")
        return f"{self._raw.partition('://')[0]}://{name}:{secret}@{place}"

    def login(self, username: str | None = None, password: str | None = None) -> tuple[str, str] | None:
        """User and password in clear, these in place of its own where given; None where there is neither."""
        own_name, _, own_password = self._split()[0].partition(":")
        name = unquote(own_name) if username is None else username
        secret = unquote(own_password) if password is None else password
        return (name, secret) if name or secret else None

    def secrets(self) -> tuple[str, ...]:
        """Its own password, if it has one: what must be hidden in any text about it."""
        _, _, password = self._split()[0].partition(":")
        return (password,) if password else ()

    def _split(self) -> tuple[str, str]:
        """The login, empty if there is none, and what stands behind it."""
        rest = self._raw.partition("://")[2]
        end = login_end(rest)
        return rest[: max(0, end)], rest[end + 1 :]

    @property
    def _raw(self) -> str:
        return self.get_secret_value()

    def _display(self) -> str:
        return mask(mask_address(self._raw), self.secrets())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read from text or as is; written to JSON masked."""
        from_text = core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(min_length=1, strip_whitespace=True)
        )
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_text]),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1}


def read_secret(path: Path | None) -> str | None:
    """First line of a secret file, or None where no file is named. Raises OSError if it cannot be read."""
    if path is None:
        return None
    with path.open(encoding="utf-8") as file:
        return file.readline(4096).strip()
