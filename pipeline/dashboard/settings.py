"""The page's settings: where it listens, and whom it lets in for how long."""

from __future__ import annotations

import ipaddress
from typing import Self

from pydantic import Field, field_validator, model_validator

from pipeline.control.access.addresses import is_this_machine
from stages.settings import Settings


class DashboardSettings(Settings):
    """The page in the browser. People log in with a key or token of the API, made by `rayline token`."""

    host: str = Field(
        "127.0.0.1",
        description="Address it listens on. 127.0.0.1: this machine only; 0.0.0.0: every network this machine is in, "
        "in clear, so put a TLS proxy before it (docker/nginx.conf).",
    )
    port: int = Field(8080, ge=1, le=65535, description="Port it listens on.")
    open_to_loopback: bool = Field(
        False,
        description="Let everybody on this machine do everything without logging in, for trials. Only with a `host` "
        "that is this machine alone.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        max_length=32,
        description="Networks of the proxies before it, such as 10.0.0.0/8: who comes from there is believed what its "
        "X-Forwarded-For and X-Forwarded-Proto say; the cookie is marked Secure where that is https. More than your "
        "proxies lets strangers choose their own address.",
    )
    session_hours: float = Field(
        12.0,
        gt=0,
        le=8760,
        description="So long a login lasts, and never longer than its key or token. Longer asks less often, which a "
        "screen on the wall may want; shorter closes sooner what somebody left open.",
    )
    max_sessions: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Logins held at once; one more ends the one that was longest not used. An open page is use.",
    )
    max_pages: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Open pages of all people together; others are told to close one. Each takes a few MB and some of "
        "a core.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network, strict=False)  # its own ValueError says what is wrong
        return networks

    @model_validator(mode="after")
    def _open_only_to_itself(self) -> Self:
        if self.open_to_loopback and not self.is_loopback:
            raise ValueError(f"open_to_loopback needs a host that is this machine alone, not {self.host!r}: 127.0.0.1")
        return self

    @property
    def is_loopback(self) -> bool:
        """True where nobody else can reach it."""
        return is_this_machine(self.host)

    @property
    def url(self) -> str:
        """Its address for people on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def told(self) -> str:
        """Where it is and who is let in, for people who start it."""
        whom = "open to everybody on this machine" if self.open_to_loopback else "log in with a key of `rayline token`"
        return f"Page: {self.url} ({whom})"
