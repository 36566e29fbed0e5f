"""How a Kafka cluster is reached: what fits together, what reaches the client, and what is never shown."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.kafka_settings import KafkaConnection, KafkaMisconfigured

SECRET = "pa55-w0rd"
LOGIN = {"security_protocol": "SASL_PLAINTEXT", "username": "line-3"}


def connection(**settings: Any) -> KafkaConnection:
    return KafkaConnection.model_validate({"brokers": ["kafka-1:9092"], **settings})


@pytest.mark.parametrize(
    ("given", "address"),
    [
        pytest.param("kafka-1:9093", "kafka-1:9093", id="as given"),
        pytest.param("kafka-1", "kafka-1:9092", id="the usual port"),
        pytest.param("[::1]:9093", "[::1]:9093", id="IPv6"),
        pytest.param("[::1]", "[::1]:9092", id="IPv6, the usual port"),
    ],
)
def test_brokers_have_a_port(given: str, address: str) -> None:
    assert connection(brokers=[given]).address == address


@pytest.mark.parametrize(
    "broker", ["", "kafka://a:9092", "a:0", "a:x", "a:70000", "user:pw@a:9092", "::1:9092", "a b:9092"]
)
def test_what_is_no_broker_is_refused_and_not_shown(broker: str) -> None:
    with pytest.raises(ValidationError, match="a broker is host:port") as refused:
        connection(brokers=[broker])
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        pytest.param({"brokers": []}, "at least 1", id="no broker"),
        pytest.param({"security_protocol": "SASL_SSL"}, "needs `username`", id="no login"),
        pytest.param({**LOGIN}, "needs `username` and `password`", id="no password"),
        pytest.param({**LOGIN, "password": SECRET, "password_file": "x"}, "not both", id="two passwords"),
        pytest.param({"username": "u", "password": SECRET}, "of no use", id="a login nobody asks for"),
        pytest.param({"ca_file": "ca.pem"}, "of no use", id="a certificate nobody looks at"),
        pytest.param({"security_protocol": "SSL", "key_file": "k.pem"}, "without its `cert_file`", id="a lone key"),
    ],
)
def test_what_does_not_fit_together_is_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        connection(**settings)
    assert SECRET not in str(refused.value)


def test_a_plain_connection_says_no_more_than_it_must() -> None:
    assert connection(request_timeout_s=2.5, client_id="line-3").client_arguments() == {
        "bootstrap_servers": ["kafka-1:9092"],
        "client_id": "line-3",
        "request_timeout_ms": 2500,
        "security_protocol": "PLAINTEXT",
    }


def test_the_login_reaches_the_client_and_no_screen() -> None:
    settings = connection(**LOGIN, password=SECRET, sasl_mechanism="SCRAM-SHA-512")
    arguments = settings.client_arguments()
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("line-3", SECRET)
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()


def test_the_password_file_is_read_at_each_connect(tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = connection(**LOGIN, password_file=file)
    with pytest.raises(KafkaMisconfigured, match="No such file"):
        settings.client_arguments()
    for password in (SECRET, "another"):
        file.write_text(f"{password}\n")
        assert settings.client_arguments()["sasl_plain_password"] == password
    file.write_text("\n")
    with pytest.raises(KafkaMisconfigured, match="is empty"):
        settings.client_arguments()


def test_certificates_become_a_context_that_checks_the_brokers(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path)
    settings = connection(security_protocol="SSL", ca_file=cert, cert_file=cert, key_file=key)
    context = settings.client_arguments()["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1


def test_a_locked_key_is_opened_by_its_password_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path, password=SECRET)
    files = {"security_protocol": "SSL", "cert_file": cert, "key_file": key}
    assert connection(**files, key_password=SECRET).client_arguments()["ssl_context"]
    with pytest.raises(KafkaMisconfigured, match=r"key\.pem"):
        connection(**files).client_arguments()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_is_none_is_told_by_its_file(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(KafkaMisconfigured, match=r"ca\.pem"):
        connection(security_protocol="SSL", ca_file=file).client_arguments()


def _certificate(folder: Path, password: str | None = None) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    lock = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    names = ["-subj", "/CN=kafka-1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", *lock, *names],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return cert, key
