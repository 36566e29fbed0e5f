"""What may stand under `alarms`, and what of it may be seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.alarms.mail_settings import EmailSettings
from pipeline.alarms.reject_rate import RejectRateRule
from pipeline.alarms.settings import AlarmRules, AlarmSettings
from pipeline.alarms.webhook_settings import WebhookSettings
from pipeline.config_checks import review
from pipeline.config_errors import ConfigError
from pipeline.plain import plain, shown
from tests.unit.config.site import SITE, config_from

WEBHOOK = "https://user:hunter2@chat.example.com:8443/hooks/T0K3N?key=s3cret"
EMAIL = {"host": "mail.example.com", "sender": "line@example.com", "to": ["qa@example.com"]}


def test_a_lines_own_rule_takes_the_place_of_the_one_above_and_null_of_any() -> None:
    general = RejectRateRule(limit=0.05)
    settings = AlarmSettings(
        reject_rate=general,
        lines={"a": AlarmRules(reject_rate=RejectRateRule(limit=0.2)), "b": AlarmRules(camera_blind=None)},
    )
    assert settings.rules("a").reject_rate == RejectRateRule(limit=0.2)
    assert settings.rules("a").camera_blind is not None
    assert settings.rules("b").reject_rate == general
    assert settings.rules("b").camera_blind is None
    assert AlarmSettings.model_validate(plain(settings)).rules("b").camera_blind is None


def test_nothing_secret_of_a_webhook_is_shown() -> None:
    made = WebhookSettings(url=WEBHOOK, headers={"Authorization": "Bearer T0K3N"}, secret="s3cret-of-16-and-more")
    assert made.address == "https://chat.example.com:8443"
    assert not re.search("hunter2|T0K3N|s3cret", f"{made!r} {made} {shown(made)} {made.address}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"url": "ftp://host/x"}, "must be http://", id="another scheme"),
        pytest.param({"url": "http://h/", "headers": {"webhook-id": "1"}}, "cannot be set", id="a header of ours"),
        pytest.param({"url": "http://h/", "headers": {"X": "1\r\nY: 2"}}, "must be one line", id="two headers in one"),
        pytest.param({"url": "http://h/", "secret": "short"}, "shorter than 16", id="a secret to be guessed"),
    ],
)
def test_a_webhook_that_cannot_be(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        WebhookSettings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"to": ["qa@example.com\nBcc: all@example.com"]}, "no e-mail address", id="another receiver"),
        pytest.param({"user": "line"}, "needs `password`", id="a user without a password"),
        pytest.param({"user": "l", "password": "x", "tls": "none"}, "in clear", id="a password in clear"),
    ],
)
def test_an_email_that_cannot_be(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EmailSettings.model_validate(EMAIL | given)


def test_a_config_takes_a_webhooks_address_from_a_file_and_starts_paths_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(f"{WEBHOOK}\n")
    hook = "  webhooks: {chat: {url_file: hook, secret_file: secret, header_files: {Authorization: token}}}\n"
    email = "  email: {host: m, sender: a@b, to: [c@d], user: u, password_file: pw}\n"
    config = config_from(f"{SITE}alarms:\n{hook}{email}", tmp_path)
    chat, mail = config.alarms.webhooks["chat"], config.alarms.email
    assert chat.url.get_secret_value() == WEBHOOK
    assert (chat.secret_file, chat.header_files) == (tmp_path / "secret", {"Authorization": tmp_path / "token"})
    assert mail is not None
    assert mail.password_file == tmp_path / "pw"


def test_a_webhook_called_as_the_email_is_refused() -> None:
    with pytest.raises(ConfigError, match="call it otherwise"):
        config_from(f"{SITE}alarms: {{webhooks: {{email: {{url: 'http://h/'}}}}}}\n")


def test_a_line_that_is_not_there_is_warned_of() -> None:
    said = [found.problem.message for found in review(config_from(f"{SITE}alarms: {{lines: {{filing: {{}}}}}}\n"))]
    assert "there is no line 'filing'" in said
