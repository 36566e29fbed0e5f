"""Which signed tokens (JWT) are believed, and what they say of their bearer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from pipeline.control.access.addresses import is_this_machine
from pipeline.control.access.roles import Role
from stages.errors import RaylineError
from stages.settings import Settings

SHORTEST_SECRET = 32  # bytes: as many as the hash of HS256 has, RFC 7518 3.2
_LONGEST_SECRET = 4096
RAYLINE = "rayline"  # issuer and audience of the tokens that `rayline token jwt` makes

ClaimName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # no HS...: a public key would be a secret that everybody knows


class TokensMisconfigured(RaylineError):
    """A file the settings name cannot be read or used; the text holds no secret."""


class ClaimSettings(Settings):
    """What a token says of its bearer, and where in it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    leeway_s: float = Field(
        10.0,
        ge=0,
        le=300,
        description="Clocks may differ so much. More lets a token live on for as long behind its end.",
    )
    role_claim: ClaimName = Field(
        "role",
        description="Claim that holds the role, or a list of which the highest counts. A dot goes into an object: "
        "`realm_access.roles`. A token without a role that is known is refused.",
    )
    roles: dict[str, Role] = Field(
        default_factory=dict,
        max_length=100,
        description="What others call the roles: `{line-leads: operator}`. viewer, operator, engineer and admin are "
        "understood as they are.",
    )
    lines_claim: ClaimName | None = Field(
        "lines",
        description='Claim that holds the lines its bearer may see, as a list or between blanks; "*" is every line. A '
        "token without it sees none. null: every token sees every line.",
    )


class OwnTokenSettings(ClaimSettings):
    """Tokens signed with a secret of one's own (HS256), by `rayline token jwt` or by whoever else has the secret."""

    secret: SecretStr | None = Field(
        None,
        description="What they are signed with, at least 32 bytes at random (`openssl rand -hex 32`). Write ${NAME} "
        "and set NAME in the environment. It stands in Rayline's Redis as cameras' passwords do; `secret_file` keeps "
        "it out of there.",
    )
    secret_file: Path | None = Field(
        None, description="File that holds the secret, on each machine where the API runs; read when it starts."
    )
    issuer: str | None = Field(RAYLINE, description="What `iss` must be. null: it is not looked at.")
    audience: str | None = Field(RAYLINE, description="What `aud` must be or hold. null: it is not looked at.")

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < SHORTEST_SECRET:
            raise ValueError(f"is shorter than {SHORTEST_SECRET} bytes: `openssl rand -hex 32` makes one")
        return secret

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("give `secret` or `secret_file`, one of them")
        return self

    def signing_key(self) -> bytes:
        """The secret. Raises TokensMisconfigured where its file cannot be read or is too short."""
        if self.secret is not None:
            return self.secret.get_secret_value().encode()
        assert self.secret_file is not None  # noqa: S101 - checked when the settings were made
        try:
            with self.secret_file.open("rb") as opened:
                secret = opened.read(_LONGEST_SECRET + 1).strip()
        except OSError as exc:
            raise TokensMisconfigured(f"api.auth.own.secret_file {self.secret_file}: {exc.strerror}") from None
        if not SHORTEST_SECRET <= len(secret) <= _LONGEST_SECRET:
            wanted = f"{SHORTEST_SECRET} to {_LONGEST_SECRET} bytes: `openssl rand -hex 32` makes some"
            raise TokensMisconfigured(f"api.auth.own.secret_file {self.secret_file}: it must hold {wanted}")
        return secret


class ProviderSettings(ClaimSettings):
    """Tokens of an identity provider (OpenID Connect), checked by the public keys it publishes."""

    jwks_url: str | None = Field(
        None,
        max_length=2000,
        description="Where the provider publishes its keys (JWKS), as https://; http:// only on this machine.",
    )
    jwks_file: Path | None = Field(
        None, description="File that holds the keys (JWKS) instead, on each machine where the API runs."
    )
    issuer: str = Field(min_length=1, description="What `iss` must be, to the letter.")
    audience: str | None = Field(
        min_length=1,
        description="What `aud` must be or hold: the name the provider knows this Rayline by. null takes every token "
        "of the provider, those meant for its other applications too.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256"),
        min_length=1,
        description="Signatures that are believed; each key's type says which of them are its own.",
    )
    jwks_ttl_s: float = Field(
        300.0,
        ge=10,
        le=86_400,
        description="How long keys are used before they are fetched again. Shorter hears sooner that one was "
        "withdrawn; a new one is fetched when a token first names it.",
    )
    jwks_stale_s: float = Field(
        3600.0,
        ge=0,
        le=604_800,
        description="How long keys are used on while the provider is away. Longer rides out its outages; a key it "
        "withdrew meanwhile is believed for as long.",
    )

    @field_validator("jwks_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            host, usable = parts.hostname or "", parts.port != 0
        except ValueError:
            host, usable = "", False
        if not usable or not host or parts.username is not None or parts.scheme not in ("http", "https"):
            raise ValueError("must be https://host[:port]/path, without a login")
        if parts.scheme == "http" and not is_this_machine(host):
            raise ValueError("must be https: whoever stands between could publish keys of their own")
        return url

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("give `jwks_url` or `jwks_file`, one of them")
        return self

    @property
    def place(self) -> str:
        """Where its keys are: what may be shown."""
        if self.jwks_url is None:
            return str(self.jwks_file)
        return self.jwks_url.partition("?")[0]
