"""Where something that answers people listens, and whom it believes: the API's and the page's settings begin so."""

from __future__ import annotations

import ipaddress
from typing import Self

from pydantic import Field, field_validator, model_validator

from pipeline.control.access.addresses import is_this_machine
from stages.settings import Settings


class Listening(Settings):
    """An address, and who is let in from this machine or heard through a proxy."""

    host: str = Field(
        "127.0.0.1",
        description="Address it listens on. 127.0.0.1: this machine only; 0.0.0.0: every network this machine is in, "
        "in clear, so put a TLS proxy before it (docker/nginx.conf).",
    )
    port: int = Field(ge=1, le=65535, description="Port it listens on.")
    open_to_loopback: bool = Field(
        False,
        description="Let everybody on this machine do everything without a key or token, for trials. Only with a "
        "`host` that is this machine alone.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        max_length=32,
        description="Networks of the proxies before it, such as 10.0.0.0/8: who comes from there is believed what its "
        "X-Forwarded-For and X-Forwarded-Proto say; the page's cookie is marked Secure where that is https. More than "
        "your proxies lets strangers choose their own address.",
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
