"""TLS to Redis: whose certificates are trusted, and what went wrong where they are not."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from stages.settings import Settings

# What an address may hold behind its ?, as redis-py names it.
QUERY = {"ca_file": "ssl_ca_certs", "cert_file": "ssl_certfile", "key_file": "ssl_keyfile"}
CHECK_HOSTNAME = "ssl_check_hostname"


class RedisTls(Settings):
    """Certificates for rediss://. An address alone says the same: rediss://host:port/0?ssl_ca_certs=/etc/ca.pem."""

    ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of those who may vouch for the server; the file is read on each machine. null: "
        "those the machine trusts.",
    )
    cert_file: Path | None = Field(None, description="Our own certificate (PEM), where the server asks for one.")
    key_file: Path | None = Field(None, description="The key of `cert_file`, where it stands in another file.")
    check_hostname: bool = Field(
        True,
        description="The certificate must be for the name or address in `url`. false takes any that `ca_file` vouches "
        "for: only with a `ca_file` of your own, whose every certificate is a Redis of yours.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("a key is of no use without its `cert_file`")
        if not self.check_hostname and self.ca_file is None:
            raise ValueError("check_hostname: false needs a `ca_file`, or everybody's certificate would do")
        return self

    def query(self) -> dict[str, str]:
        """The same for an address."""
        found = {QUERY[name]: str(path) for name in QUERY if (path := getattr(self, name)) is not None}
        return {**found, CHECK_HOSTNAME: str(self.check_hostname).lower()}

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        """What an address says. Raises ValidationError where it does not fit together, as for the settings."""
        names = {**QUERY, "check_hostname": CHECK_HOSTNAME}
        return cls.model_validate({name: query[parameter] for name, parameter in names.items() if parameter in query})


def unreadable(query: Mapping[str, str]) -> str | None:
    """Which file of an address cannot be read, in words; None where all can. OpenSSL does not say which."""
    for name, parameter in QUERY.items():
        path = query.get(parameter)
        if path is not None and not os.access(path, os.R_OK):
            return f"{name} {path} cannot be read"
    return None


def tls_trouble(exc: BaseException | None) -> str | None:
    """What TLS made of a connection, in words; None where it was something else."""
    while exc is not None:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({exc.verify_message.rstrip('.')}): see redis.tls"
        if isinstance(exc, ssl.SSLError):
            reason = (exc.reason or "no reason given").replace("_", " ").lower()
            return f"no TLS with it ({reason}): see redis.tls"
        exc = exc.__cause__ or exc.__context__
    return None
