"""People who are told of alarms by e-mail."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from pipeline.alarms.channel_settings import ChannelSettings, read_secret

_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _an_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is no e-mail address: write name@host")
    return text


Address = Annotated[str, AfterValidator(_an_address)]


class MailTls(StrEnum):
    """How the way to the mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class EmailSettings(ChannelSettings):
    """A mail server (SMTP) and whom it writes to."""

    model_config = ConfigDict(hide_input_in_errors=True)

    host: str = Field(min_length=1, max_length=253, description="The mail server.")
    port: int = Field(587, ge=1, le=65_535, description="587 for `starttls`, 465 for `tls`, 25 for `none`.")
    tls: MailTls = Field(
        MailTls.STARTTLS,
        description="starttls, tls or none. A server that cannot is told nothing; `none` is for one on this machine, "
        "and takes no login.",
    )
    ca_file: Path | None = Field(
        None, description="File with the certificates (PEM) the server's is checked by. null: those the machine trusts."
    )
    user: str | None = Field(None, min_length=1, max_length=500, description="Login. null: none is asked for.")
    password: SecretStr | None = Field(
        None, description="Its password: write ${NAME} and set NAME in the environment, or use `password_file`."
    )
    password_file: Path | None = Field(None, description="File that holds the password, read for every message.")
    sender: Address = Field(description="From whom it comes.")
    to: tuple[Address, ...] = Field(min_length=1, max_length=100, description="Who gets it.")

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        passwords = [one for one in (self.password, self.password_file) if one is not None]
        if len(passwords) != (self.user is not None):
            raise ValueError("`user` needs `password` or `password_file`, one of them, and they need `user`")
        if self.user is not None and self.tls is MailTls.NONE:
            raise ValueError("tls: none would send the password in clear: use starttls or tls")
        return self

    @property
    def address(self) -> str:
        """What may be shown."""
        return f"{self.host}:{self.port}"

    def login(self) -> tuple[str, str] | None:
        """User and password, None where there are none. Raises AlarmsMisconfigured."""
        if self.user is None:
            return None
        if self.password_file is not None:
            return self.user, read_secret(self.password_file, "email: password_file")
        assert self.password is not None  # noqa: S101 - checked when the settings were made
        return self.user, self.password.get_secret_value()
