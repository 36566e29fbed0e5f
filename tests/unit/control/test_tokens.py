"""Which signed tokens are believed, and as whom; why a token does not hold is told only to who was given it."""

import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from pipeline.control.access.refusals import BadCredential
from pipeline.control.access.roles import Principal, Role
from pipeline.control.access.token_settings import OwnTokenSettings, ProviderSettings, TokensMisconfigured
from pipeline.control.access.tokens import TokenCheck, sign
from pipeline.control.problems import ApiError
from tests.jwks_server import AUDIENCE, ISSUER, Provider, ec_key, jwks_server, pem, rsa_key, token

SECRET = "0123456789abcdef" * 4 + "-and-more"
OWN = OwnTokenSettings.model_validate({"secret": SECRET})
HOUR_S = 3600


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with jwks_server() as running:
        yield running


def settings(provider: Provider, **more: Any) -> ProviderSettings:
    return ProviderSettings(jwks_url=provider.url, issuer=ISSUER, audience=AUDIENCE, **more)


def check(provider: Provider, **more: Any) -> TokenCheck:
    return TokenCheck(OWN, settings(provider, **more))


async def test_a_providers_token_says_who_comes(provider: Provider) -> None:
    who = await check(provider).principal(token())
    assert who == Principal("ada", Role.OPERATOR, frozenset({"l1"}), "token")
    assert (await check(provider).principal(token(ec_key("k2"), "ES256", "k2"))).name == "ada"


async def test_a_token_of_ones_own_says_who_comes() -> None:
    signed = sign(OWN, "night-shift", Role.ENGINEER, ("l1", "l2"), 60)
    who = await TokenCheck(OWN, None).principal(signed)
    assert who == Principal("night-shift", Role.ENGINEER, frozenset({"l1", "l2"}), "token")


def _without_signature(alg: str) -> str:
    def part(data: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    claims = jwt.decode(token(), options={"verify_signature": False})
    return f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims)}."


def _signed_with_a_public_key() -> str:
    """By hand, for PyJWT will not."""
    import hashlib
    import hmac

    head, payload = _without_signature("HS256").split(".")[:2]
    made = hmac.new(pem(rsa_key("k1")), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def _changed() -> str:
    head, payload, signature = token().split(".")
    other = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).replace(b"operator", b"engineer")
    return f"{head}.{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: token(rsa_key("another's")), id="signed by another's key"),
        pytest.param(_changed, id="changed behind its signature"),
        pytest.param(lambda: _without_signature("none"), id="alg none"),
        pytest.param(lambda: _without_signature("NONE"), id="alg NONE"),
        pytest.param(lambda: _without_signature("RS256"), id="an empty signature"),
        pytest.param(_signed_with_a_public_key, id="the public key taken for a secret"),
        pytest.param(lambda: token(kid="made-up"), id="a key nobody has"),
        pytest.param(lambda: token(kid=None), id="no key named, and there are two"),
        pytest.param(lambda: token(kid="k2"), id="another type of key than it says"),
        pytest.param(lambda: token(algorithm="RS512"), id="a signature that is not believed"),
        pytest.param(lambda: token(SECRET.encode(), "HS512"), id="the right secret, another algorithm"),
        pytest.param(lambda: token(b"x" * 40, "HS256"), id="another secret"),
        pytest.param(lambda: token(header={"crit": ["b64"], "b64": False}), id="crit that PyJWT knows"),
        pytest.param(lambda: token(header={"crit": ["exp"]}), id="crit that nobody knows"),
        pytest.param(lambda: token(header={"jwk": {"kty": "oct", "k": "AAAA"}}, key=rsa_key("x")), id="brings its key"),
        pytest.param(
            lambda: token(header={"jku": "http://127.0.0.1:9/"}, key=rsa_key("x")), id="names a place of keys"
        ),
        pytest.param(lambda: token(exp="soon"), id="an end that is no time"),
        pytest.param(lambda: "not.a.token", id="not a token"),
        pytest.param(lambda: "", id="nothing"),
        pytest.param(lambda: "a" * 8000, id="one long word"),
        pytest.param(lambda: "\xff\xfe.\x00.\x01", id="bytes"),
        pytest.param(lambda: token().rsplit(".", 1)[0], id="cut off"),
        pytest.param(lambda: token() + ".x", id="four parts"),
    ],
)
async def test_what_was_never_good_is_refused_as_a_guess(provider: Provider, make: Any) -> None:
    with pytest.raises(BadCredential) as refused:
        await check(provider).principal(make())
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"].startswith('Bearer realm="rayline", error="invalid_token"')
    for told in ("operator", "k1", AUDIENCE, ISSUER, SECRET):  # nothing that helps a stranger
        assert told not in str(refused.value)


def _at(claims: dict[str, Any]) -> dict[str, Any]:
    """Times are given from now on."""
    now = int(time.time())
    return {name: now + value if name in ("exp", "nbf", "iat") and value else value for name, value in claims.items()}


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        pytest.param({"exp": -HOUR_S}, "has expired", id="expired"),
        pytest.param({"nbf": HOUR_S}, "does not hold yet", id="not yet"),
        pytest.param({"iat": HOUR_S}, "does not hold yet", id="made in the future"),
        pytest.param({"aud": "another"}, AUDIENCE, id="for another"),
        pytest.param({"aud": ["a", "b"]}, AUDIENCE, id="for several others"),
        pytest.param({"aud": None}, "lacks `aud`", id="for nobody"),
        pytest.param({"iss": "https://id.example/realms/other"}, ISSUER, id="of another issuer"),
        pytest.param({"iss": None}, "lacks `iss`", id="of no issuer"),
        pytest.param({"exp": None}, "lacks `exp`", id="without an end"),
        pytest.param({"sub": None}, "lacks `sub`", id="nobody's"),
        pytest.param({"sub": ""}, "printable", id="an empty name"),
        pytest.param({"sub": "a\nb"}, "printable", id="a name of two lines"),
        pytest.param({"sub": 7}, "must be a text", id="a number for a name"),
    ],
)
async def test_who_was_given_a_token_is_told_why_it_does_not_hold(
    provider: Provider, claims: dict[str, Any], told: str
) -> None:
    with pytest.raises(ApiError) as refused:
        await check(provider).principal(token(**_at(claims)))
    assert refused.value.status == 401
    assert not isinstance(refused.value, BadCredential)
    assert told in str(refused.value)


@pytest.mark.parametrize("claims", [{"exp": -5}, {"nbf": 5}, {"aud": ["x", AUDIENCE]}])
async def test_clocks_may_differ_a_little_and_a_token_may_be_for_several(
    provider: Provider, claims: dict[str, Any]
) -> None:
    assert (await check(provider).principal(token(**_at(claims)))).name == "ada"


async def test_names_of_any_script_can_be_told_in_a_header(provider: Provider) -> None:
    provided = settings(provider).model_copy(update={"audience": '工"厂\n'})
    with pytest.raises(ApiError) as refused:
        await TokenCheck(None, provided).principal(token())
    header = refused.value.headers["WWW-Authenticate"]
    assert header.isascii()
    assert header.count('"') == 6  # of its own three values, and none inside


async def test_a_token_of_ones_own_does_not_pass_for_the_providers(provider: Provider) -> None:
    signed = token(SECRET.encode(), "HS256", sub="eve")
    with pytest.raises(ApiError, match="`iss` must be 'rayline'"):
        await check(provider).principal(signed)
    with pytest.raises(BadCredential):
        await TokenCheck(None, settings(provider)).principal(sign(OWN, "eve", Role.ADMIN, ("*",), 60))


@pytest.mark.parametrize(
    ("more", "claims", "role", "lines"),
    [
        pytest.param({}, {"role": ["viewer", "engineer", "guest"]}, Role.ENGINEER, {"l1"}, id="the highest of a list"),
        pytest.param({}, {"role": "openid viewer"}, Role.VIEWER, {"l1"}, id="between blanks"),
        pytest.param(
            {"role_claim": "realm_access.roles"},
            {"realm_access": {"roles": ["admin"]}},
            Role.ADMIN,
            {"l1"},
            id="inside",
        ),
        pytest.param(
            {"role_claim": "https://r.example/role"}, {"https://r.example/role": "admin"}, Role.ADMIN, {"l1"}, id="dots"
        ),
        pytest.param({"roles": {"leads": "operator"}}, {"role": "leads"}, Role.OPERATOR, {"l1"}, id="another name"),
        pytest.param({}, {"lines": None}, Role.OPERATOR, set(), id="no lines said: none"),
        pytest.param({}, {"lines": {"l1": True}}, Role.OPERATOR, set(), id="lines that are no list: none"),
        pytest.param({}, {"lines": "l1 l2"}, Role.OPERATOR, {"l1", "l2"}, id="lines between blanks"),
        pytest.param({}, {"lines": ["*"]}, Role.OPERATOR, {"*"}, id="every line"),
        pytest.param({"lines_claim": None}, {}, Role.OPERATOR, {"*"}, id="lines are not looked at"),
    ],
)
async def test_role_and_lines_are_found_where_the_settings_say(
    provider: Provider, more: dict[str, Any], claims: dict[str, Any], role: Role, lines: set[str]
) -> None:
    who = await check(provider, **more).principal(token(**claims))
    assert (who.role, set(who.lines)) == (role, lines)


@pytest.mark.parametrize("role", [None, "boss", [], ["boss", 7], {"admin": True}, "Admin", 1])
async def test_a_token_without_a_known_role_may_nothing(provider: Provider, role: Any) -> None:
    with pytest.raises(ApiError) as refused:
        await check(provider).principal(token(role=role))
    assert refused.value.status == 403


@pytest.mark.parametrize("secret", ["", "tiny-one", "x" * 31])
def test_a_secret_that_can_be_guessed_is_refused_unseen(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ValueError, match="shorter than 32 bytes") as refused:
        OwnTokenSettings.model_validate({"secret": secret})
    assert not secret or secret not in str(refused.value)
    (tmp_path / "secret").write_text(secret)
    with pytest.raises(TokensMisconfigured, match="32 to 4096 bytes"):
        OwnTokenSettings(secret_file=tmp_path / "secret").signing_key()


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert OwnTokenSettings(secret_file=tmp_path / "secret").signing_key() == SECRET.encode()
    with pytest.raises(TokensMisconfigured, match="No such file"):
        OwnTokenSettings(secret_file=tmp_path / "gone").signing_key()


def test_settings_show_no_secret() -> None:
    assert SECRET not in repr(OWN)
    assert SECRET not in OWN.model_dump_json()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://id.example/jwks", id="in clear"),
        pytest.param("https://user:pass@id.example/jwks", id="with a login"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("https:///jwks", id="no host"),
        pytest.param("https://id.example:0x50/jwks", id="no port"),
    ],
)
def test_keys_come_from_safe_places_only(url: str) -> None:
    with pytest.raises(ValueError, match="must be https"):
        ProviderSettings(jwks_url=url, issuer=ISSUER, audience=AUDIENCE)
