"""Keys are made, shown once, listed and revoked; tokens are signed with the secret of the config."""

import hashlib
import json
from pathlib import Path

import jwt
import pytest
import yaml

from pipeline.config import load_config
from pipeline.control.access.api_keys import ApiKey
from tests.services.cli.conftest import Rayline, Site
from tests.unit.config.site import SITE

pytestmark = pytest.mark.services

SECRET = "0123456789abcdef" * 4
WITH_SECRET = f"{SITE}\napi:\n  auth:\n    own:\n      secret: {SECRET}\n"


def make(rayline: Rayline, *arguments: str) -> str:
    result = rayline("token", "make", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_key_is_all_that_is_on_standard_output(rayline: Rayline, site: Site) -> None:
    printed = make(rayline, "erp", "--role", "operator", "--line", "l1", "--line", "l2", "--days", "90")
    key = ApiKey.parse(printed.strip())
    assert key is not None
    assert printed == f"{key.text}\n"
    (stored,) = site.stored("rayline:api:keys").values()
    assert key.text.encode() not in stored
    assert json.loads(stored)["sha256"] == hashlib.sha256(key.text.encode()).hexdigest()


def test_keys_are_listed_without_what_opens(rayline: Rayline, site: Site) -> None:
    key = ApiKey.parse(make(rayline, "erp", "--role", "operator", "--line", "l1").strip())
    make(rayline, "mes", "--forever")
    assert key is not None
    result = rayline("token", "list", "--json")
    rows = json.loads(result.stdout)["keys"]
    assert [(row["name"], row["role"], row["lines"], row["expired"]) for row in rows] == [
        ("erp", "operator", ["l1"], False),
        ("mes", "viewer", ["*"], False),
    ]
    assert (rows[0]["id"], rows[1]["expires"]) == (key.key_id, None)
    shown = rayline("token", "list").stdout + result.stdout
    assert key.text.rpartition("_")[2] not in shown
    assert key.sha256 not in shown


@pytest.mark.parametrize("by_id", [False, True])
def test_a_key_is_revoked_by_name_or_id(rayline: Rayline, site: Site, by_id: bool) -> None:
    key = ApiKey.parse(make(rayline, "erp").strip())
    assert key is not None
    assert "erp is revoked" in rayline("token", "revoke", key.key_id if by_id else "erp").stdout
    assert site.stored("rayline:api:keys") == {}
    assert "there is no key" in str(rayline("token", "revoke", "erp").exception)


def test_a_name_is_given_once(rayline: Rayline, site: Site) -> None:
    make(rayline, "erp")
    assert "already" in str(rayline("token", "make", "erp").exception)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("ERP system",), id="a name that is none"),
        pytest.param(("erp", "--role", "boss"), id="a role nobody has"),
        pytest.param(("erp", "--line", "L 1"), id="a line's name that is none"),
        pytest.param(("erp", "--days", "0"), id="no time at all"),
    ],
)
def test_what_makes_no_sense_is_refused(rayline: Rayline, site: Site, arguments: tuple[str, ...]) -> None:
    assert rayline("token", "make", *arguments).exit_code == 2
    assert site.stored("rayline:api:keys") == {}


def test_a_key_for_the_config_file_is_in_no_redis(rayline: Rayline, site: Site, tmp_path: Path) -> None:
    result = rayline("token", "make", "erp", "--for-config", "--role", "engineer", "--line", "l1")
    key = ApiKey.parse(result.stdout.strip())
    assert key is not None
    assert site.stored("rayline:api:keys") == {}
    entry = result.stderr.split("start Rayline again:\n\n", 1)[1]
    (tmp_path / "parts.pt").write_bytes(b"weights")
    (tmp_path / "site.yaml").write_text(f"{SITE}\n{entry}")
    loaded = load_config(tmp_path / "site.yaml")
    assert loaded.api is not None
    (declared,) = loaded.api.auth.keys
    assert (declared.name, declared.sha256, declared.role, declared.lines) == ("erp", key.sha256, "engineer", ("l1",))
    assert declared.expires is not None
    site.publish(yaml.safe_dump({**yaml.safe_load(SITE), **yaml.safe_load(entry)}))  # its time survives Redis
    assert site.desired().config.api.auth.keys[0].expires == declared.expires


def test_json_for_programs(rayline: Rayline, site: Site) -> None:
    told = json.loads(make(rayline, "erp", "--json"))
    key = ApiKey.parse(told["key"])
    assert key is not None
    assert (told["id"], told["sha256"]) == (key.key_id, key.sha256)


def test_a_token_is_signed_by_the_config_that_runs(rayline: Rayline, site: Site) -> None:
    site.publish(WITH_SECRET)
    result = rayline("token", "jwt", "night shift", "--role", "operator", "--line", "l1", "--hours", "2")
    assert result.exit_code == 0, result.output
    claims = jwt.decode(result.stdout.strip(), SECRET, ["HS256"], audience="rayline", issuer="rayline")
    assert (claims["sub"], claims["role"], claims["lines"]) == ("night shift", "operator", ["l1"])
    assert claims["exp"] - claims["iat"] == 7200
    assert SECRET not in result.output


def test_a_token_is_signed_by_a_config_file(rayline: Rayline, site: Site, tmp_path: Path) -> None:
    (tmp_path / "parts.pt").write_bytes(b"weights")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    config = tmp_path / "site.yaml"
    config.write_text(WITH_SECRET.replace(f"secret: {SECRET}", "secret_file: secret"))
    result = rayline("token", "jwt", "ada", "--config", str(config))
    assert jwt.decode(result.stdout.strip(), SECRET, ["HS256"], audience="rayline")["role"] == "viewer"


def test_without_a_secret_nothing_is_signed(rayline: Rayline, site: Site) -> None:
    site.publish()
    assert "has no `api.auth.own`" in str(rayline("token", "jwt", "ada").exception)
