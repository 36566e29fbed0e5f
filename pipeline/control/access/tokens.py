"""Signed tokens (JWT): is the signature one that is believed, and does the token hold here and now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
from jwt.exceptions import InvalidSubjectError

from pipeline.control.access.claims import principal_of_claims
from pipeline.control.access.key_set import KeySet
from pipeline.control.access.refusals import BadCredential, refused
from pipeline.control.access.roles import Principal, Role
from pipeline.control.access.token_settings import OwnTokenSettings, ProviderSettings

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

    from pipeline.control.problems import ApiError

OWN_ALGORITHM = "HS256"
_FORGED = "this token is not one that is believed here"


class TokenCheck:
    """Recognises signed tokens.

    A token's header only chooses between the secret and the provider's keys; which signature is then believed is the
    chosen key's to say. So a token signed with a public key, as if that were a secret, meets the real secret instead.
    """

    def __init__(self, own: OwnTokenSettings | None, provider: ProviderSettings | None) -> None:
        self._own = own
        self._secret = own.signing_key() if own is not None else b""
        self._provider = provider
        self._keys = KeySet(provider) if provider is not None else None

    async def principal(self, token: str) -> Principal:
        """Whose it is. Raises ApiError: 401, 403 where it gives no role, 503 while the provider's keys are away."""
        header = _header(token)
        algorithm = header["alg"]
        if algorithm == OWN_ALGORITHM and self._own is not None:
            claims = _believed(token, self._secret, OWN_ALGORITHM, self._own)
            return principal_of_claims(claims, self._own)
        if self._provider is not None and self._keys is not None and algorithm in self._provider.algorithms:
            found = await self._keys.find(header.get("kid"))
            if found is None or algorithm not in found.algorithms:
                raise BadCredential(_FORGED)
            claims = _believed(token, found.key, algorithm, self._provider)
            return principal_of_claims(claims, self._provider)
        raise BadCredential(_FORGED)


def sign(settings: OwnTokenSettings, subject: str, role: Role, lines: tuple[str, ...], lifetime_s: float) -> str:
    """A token of one's own. Raises TokensMisconfigured."""
    now = int(time.time())
    claims: dict[str, Any] = {"sub": subject, "iat": now, "exp": now + int(lifetime_s)}
    _set_claim(claims, settings.role_claim, role.value)
    if settings.lines_claim is not None:
        _set_claim(claims, settings.lines_claim, list(lines))
    if settings.issuer is not None:
        claims["iss"] = settings.issuer
    if settings.audience is not None:
        claims["aud"] = settings.audience
    return jwt.encode(claims, settings.signing_key(), OWN_ALGORITHM)


def _set_claim(claims: dict[str, Any], name: str, value: Any) -> None:
    *way, last = name.split(".") if "://" not in name else [name]
    for part in way:
        claims = claims.setdefault(part, {})
    claims[last] = value


def _header(token: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as exc:
        raise BadCredential("this is neither a key nor a signed token") from exc
    # `crit` names what a reader must understand, and there is nothing of the kind that Rayline does.
    if "crit" in header or not isinstance(header.get("alg"), str):
        raise BadCredential(_FORGED)
    return header


def _believed(
    token: str,
    key: AllowedPublicKeys | bytes,
    algorithm: str,
    settings: OwnTokenSettings | ProviderSettings,
) -> dict[str, Any]:
    """The claims. Why a token does not hold is told only behind its signature, to who was given it."""
    required = ["exp", "sub"]
    required += ["iss"] if settings.issuer is not None else []
    required += ["aud"] if settings.audience is not None else []
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=settings.issuer,
            audience=settings.audience,
            leeway=settings.leeway_s,
            options={"require": required, "verify_aud": settings.audience is not None},
        )
    except (jwt.PyJWTError, ValueError, OverflowError, TypeError) as exc:
        raise _told(exc, settings) from exc


def _told(exc: Exception, settings: OwnTokenSettings | ProviderSettings) -> ApiError:
    match exc:
        case jwt.ExpiredSignatureError():
            return refused("the token has expired")
        case jwt.ImmatureSignatureError():
            return refused("the token does not hold yet (`nbf` or `iat`): do the clocks agree?")
        case jwt.MissingRequiredClaimError():
            return refused(f"the token lacks `{exc.claim}`")
        case jwt.InvalidAudienceError():
            return refused(f"the token is for somebody else: `aud` must be {settings.audience!r}")
        case jwt.InvalidIssuerError():
            return refused(f"the token is somebody else's: `iss` must be {settings.issuer!r}")
        case InvalidSubjectError():
            return refused("the token's `sub` must be a text")
    return BadCredential(_FORGED)
