"""How to reach a Kafka cluster: brokers, TLS and login, for the source that reads and the relay that writes."""

from __future__ import annotations

import ssl
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from stages.errors import RaylineError
from stages.settings import Settings

DEFAULT_PORT = 9092
_MOST_BYTES = 4096  # of a file that holds one password


class KafkaMisconfigured(RaylineError):
    """A file the settings name cannot be read or used; the text holds no secret."""


class SecurityProtocol(StrEnum):
    """How a broker's listener is spoken to, in Kafka's own words."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def has_tls(self) -> bool:
        """True where the connection is encrypted."""
        return self in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)

    @property
    def has_login(self) -> bool:
        """True where a user name and a password are asked for."""
        return self in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)


class SaslMechanism(StrEnum):
    """How the password is proved."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class KafkaConnection(Settings):
    """Where the brokers are and how they let us in."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input may hold a password

    brokers: tuple[str, ...] = Field(
        min_length=1,
        max_length=100,
        description="Brokers to begin with, as host:port (9092 where no port is given); the others are learnt from "
        "them. Two or three let a start succeed while one is down.",
    )
    client_id: str = Field(
        "rayline", min_length=1, max_length=200, description="What the brokers' logs and quotas call this client."
    )
    security_protocol: SecurityProtocol = Field(
        SecurityProtocol.PLAINTEXT,
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, as the brokers' listener is set. SSL encrypts and "
        "costs some CPU; SASL asks for a login, which only SASL_SSL keeps from being read on the way.",
    )
    sasl_mechanism: SaslMechanism = Field(
        SaslMechanism.PLAIN, description="SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, as the brokers know the user."
    )
    username: str | None = Field(None, min_length=1, description="SASL: the user.")
    password: SecretStr | None = Field(
        None,
        description="SASL: the password. Keep it in `password_file`, or write ${NAME} and set NAME in the environment; "
        "it is never shown.",
    )
    password_file: Path | None = Field(
        None, description="SASL: file whose first line is the password; read at each connect, so it may change."
    )
    ca_file: Path | None = Field(
        None,
        description="TLS: certificates (PEM) of those who may vouch for a broker. null: those this machine trusts.",
    )
    cert_file: Path | None = Field(
        None, description="TLS: our own certificate (PEM), where the brokers ask for one. Its key may stand in it too."
    )
    key_file: Path | None = Field(None, description="TLS: the key of `cert_file`, where it stands in another file.")
    key_password: SecretStr | None = Field(None, description="TLS: what opens an encrypted key; never shown.")
    request_timeout_s: float = Field(
        10.0,
        ge=0.5,
        le=300,
        description="Longest wait for one answer of a broker. Longer rides out a busy one; shorter notices a dead one.",
    )

    @field_validator("brokers")
    @classmethod
    def _are_addresses(cls, brokers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_with_port(broker.strip()) for broker in brokers)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        protocol = self.security_protocol
        if self.password is not None and self.password_file is not None:
            raise ValueError("give `password` or `password_file`, not both")
        has_password = self.password is not None or self.password_file is not None
        if protocol.has_login and not (self.username and has_password):
            raise ValueError(f"{protocol} needs `username` and `password` or `password_file`")
        if not protocol.has_login and (self.username or has_password):
            raise ValueError(f"a login is of no use with {protocol}: set `security_protocol: SASL_SSL`")
        if not protocol.has_tls and (self.ca_file or self.cert_file or self.key_file or self.key_password):
            raise ValueError(f"certificates are of no use with {protocol}: set `security_protocol` to SSL or SASL_SSL")
        if self.cert_file is None and (self.key_file or self.key_password):
            raise ValueError("a key is of no use without its `cert_file`")
        return self

    @property
    def address(self) -> str:
        """The brokers: what may be shown."""
        return ", ".join(self.brokers)

    def client_arguments(self) -> dict[str, Any]:
        """What every client of aiokafka takes; reads the files, and holds the password. Raises KafkaMisconfigured."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": list(self.brokers),
            "client_id": self.client_id,
            "request_timeout_ms": round(self.request_timeout_s * 1000),
            "security_protocol": self.security_protocol.value,
        }
        if self.security_protocol.has_tls:
            arguments["ssl_context"] = self._ssl_context()
        if self.security_protocol.has_login:
            arguments["sasl_mechanism"] = self.sasl_mechanism.value
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = self._secret()
        return arguments

    def _secret(self) -> str:
        if self.password is not None:
            return self.password.get_secret_value()
        assert self.password_file is not None  # noqa: S101 - checked when the settings were made
        try:
            with self.password_file.open("rb") as opened:
                first = opened.read(_MOST_BYTES).decode().splitlines()[:1]
        except (OSError, UnicodeDecodeError) as exc:
            raise KafkaMisconfigured(f"password_file {self.password_file}: {_reason(exc)}") from None
        if not first or not first[0].strip():
            raise KafkaMisconfigured(f"password_file {self.password_file} is empty")
        return first[0].strip()

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca_file)
        except OSError as exc:  # of which SSLError is one
            raise KafkaMisconfigured(f"ca_file {self.ca_file}: {_reason(exc)}") from None
        if self.cert_file is None:
            return context
        # A text and not None: OpenSSL would ask the terminal for the password of a key.
        opens = self.key_password.get_secret_value() if self.key_password is not None else ""
        try:
            context.load_cert_chain(self.cert_file, self.key_file, opens)
        except (OSError, ValueError) as exc:
            files = f"cert_file {self.cert_file}" + (f", key_file {self.key_file}" if self.key_file else "")
            raise KafkaMisconfigured(f"{files}: {_reason(exc)}") from None
        return context


def _with_port(broker: str) -> str:
    """host:port, whichever was given. Raises ValueError."""
    host, colon, port = broker.rpartition(":")
    if not colon or (broker.startswith("[") and broker.endswith("]")):
        host, port = broker, str(DEFAULT_PORT)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    plain = bare and not any(sign in host for sign in "/@ ,") and (bare != host or ":" not in host)
    if not (plain and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("a broker is host:port, or [IPv6]:port, without a scheme or a login")
    return f"{host}:{port}"


def _reason(exc: Exception) -> str:
    return getattr(exc, "reason", None) or getattr(exc, "strerror", None) or type(exc).__name__
