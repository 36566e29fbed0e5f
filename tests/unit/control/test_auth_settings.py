"""Settings of keys, tokens and rates: as the documents show them, and what is refused without being shown."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import RaylineConfig, config_data, config_of_data, load_config
from pipeline.config_errors import ConfigError
from pipeline.control.access.api_keys import ApiKey
from pipeline.control.access.roles import Role

ROOT = Path(__file__).parents[3]
HASH = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def examples() -> list[dict[str, Any]]:
    text = (ROOT / "docs" / "api.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [loaded for block in blocks if "auth" in (loaded := yaml.safe_load(block)).get("api", {})]


def test_the_documents_examples_are_taken(tmp_path: Path) -> None:
    declared, tokens = examples()
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(declared))
    api = load_config(tmp_path / "site.yaml").api
    assert api is not None
    assert api.auth.keys[0].expires is not None
    assert api.auth.keys[0].expires.isoformat() == "2027-06-30T00:00:00+00:00"
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(tokens))
    api = load_config(tmp_path / "site.yaml").api
    assert api is not None
    assert api.auth.own is not None
    assert api.auth.own.secret_file == tmp_path / "secrets" / "jwt"  # beside the config file
    assert api.auth.provider is not None
    assert api.auth.provider.roles == {"line-leads": Role.OPERATOR}


def test_they_come_back_from_redis_as_they_went_in() -> None:
    declared, tokens = examples()
    for data in (declared, tokens):
        config = config_of_data(data)
        assert config_of_data(config_data(config)) == config


def _refused(**auth: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        config_of_data({"api": {"auth": auth}})
    return str(refused.value)


def test_a_key_in_place_of_its_hash_is_refused_unseen() -> None:
    key = ApiKey.new()
    told = _refused(keys=[{"name": "erp", "sha256": key.text}])
    assert "rayline token hash" in told
    assert key.text not in told


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        pytest.param({"keys": [{"name": "a", "sha256": HASH}] * 2}, "two keys are called 'a'", id="a name twice"),
        pytest.param({"keys": [{"name": "a", "sha256": HASH, "role": "boss"}]}, "api.auth.keys[0].role", id="a role"),
        pytest.param({"keys": [{"name": "a", "sha256": HASH, "lines": ["L 1"]}]}, "cannot be a line's", id="a line"),
        pytest.param({"own": {}}, "`secret` or `secret_file`", id="no secret"),
        pytest.param({"own": {"secret": "hush-hush"}}, "shorter than 32 bytes", id="a short secret"),
        pytest.param({"provider": {"jwks_url": "https://id/"}}, "audience", id="nobody's audience"),
        pytest.param(
            {"provider": {"jwks_url": "https://id/", "issuer": "i", "audience": "a", "algorithms": ["HS256"]}},
            "algorithms",
            id="a secret that everybody knows",
        ),
        pytest.param(
            {"provider": {"issuer": "i", "audience": "a"}}, "`jwks_url` or `jwks_file`", id="keys from nowhere"
        ),
    ],
)
def test_what_would_not_hold_is_refused(auth: dict[str, Any], told: str) -> None:
    text = _refused(**auth)
    assert told in text
    assert "hush-hush" not in text


def test_a_secret_is_shown_nowhere() -> None:
    config = config_of_data({"api": {"auth": {"own": {"secret": "0123456789abcdef" * 4}}}})
    assert isinstance(config, RaylineConfig)
    assert "0123456789abcdef" not in repr(config)
    assert "0123456789abcdef" not in config.model_dump_json()
