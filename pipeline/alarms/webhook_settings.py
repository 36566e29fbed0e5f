"""A server that is told of alarms by HTTP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from pipeline.alarms.channel_settings import ChannelSettings, read_secret

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110: what a header may be called
_TAKEN = ("content-length", "content-type", "host", "transfer-encoding", "webhook-")
_SHORTEST_SECRET = 16


class WebhookSettings(ChannelSettings):
    """An address that gets a POST; addresses come from here alone, no page or API sets one."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input may hold secrets

    url: SecretStr = Field(
        description="http:// or https://. All behind its host may be secret and is never shown; keep it in `url_file`, "
        "or write ${NAME} and set NAME in the environment. Redirects are not followed."
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        max_length=20,
        description="Headers it gets besides, such as `Authorization: ${TOKEN}`. Never shown.",
    )
    header_files: dict[str, Path] = Field(
        default_factory=dict,
        max_length=20,
        description="The same, each value in a file, which is read for every message and so may change.",
    )
    secret: SecretStr | None = Field(
        None,
        description="Signs each message as standardwebhooks.com says (HMAC-SHA256), so that its receiver knows it is "
        "ours: `whsec_` and base64, or a text of 16 characters and more.",
    )
    secret_file: Path | None = Field(None, description="File that holds the `secret`, read for every message.")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be http://host[:port]/path or https://host[:port]/path")
        return url

    @field_validator("headers", "header_files")
    @classmethod
    def _are_headers(cls, named: dict[str, SecretStr | Path]) -> dict[str, SecretStr | Path]:
        for name, value in named.items():
            if not _TOKEN.fullmatch(name) or name.lower().startswith(_TAKEN):
                raise ValueError(f"{name!r} cannot be set: it is no header's name, or one that Rayline sets")
            if isinstance(value, SecretStr) and not value.get_secret_value().isprintable():
                raise ValueError(f"{name}: its value must be one line")
        return named

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters: `openssl rand -hex 32` makes one")
        return secret

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give `secret` or `secret_file`, not both")
        return self

    @property
    def address(self) -> str:
        """What may be shown: without login, path and query."""
        parts = urlsplit(self.url.get_secret_value())
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")

    def signing_secret(self) -> str | None:
        """The secret, None where there is none. Raises AlarmsMisconfigured."""
        if self.secret_file is not None:
            return read_secret(self.secret_file, "webhooks: secret_file")
        return None if self.secret is None else self.secret.get_secret_value()

    def all_headers(self) -> dict[str, str]:
        """With what stands in files. Raises AlarmsMisconfigured."""
        told = {name: value.get_secret_value() for name, value in self.headers.items()}
        return told | {name: read_secret(file, f"webhooks: {name}") for name, file in self.header_files.items()}
