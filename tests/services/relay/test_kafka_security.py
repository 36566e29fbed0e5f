"""TLS and a login between the relay and the broker, both kept by the proxy in front of it."""

import asyncio
import logging
import ssl
import subprocess
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from pipeline.kafka_probe import told
from pipeline.observe.logs import _QUIET
from pipeline.relays.kafka_sink import KafkaSink
from pipeline.relays.outgoing import OtherSideAway, Outgoing
from pipeline.relays.settings import KafkaRelaySettings
from tests.redis_server import free_port
from tests.services.relay.produce_gate import gated_broker
from tests.services.relay.rig import Site, eventually, kafka_settings, relay_of, running
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

LOGIN = ("line-3", "pa55-w0rd")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """One that vouches for itself, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


def server_side(cert: Path, key: Path, client: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if client is not None:
        context.load_verify_locations(client)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def relays_all(site: Site, settings: KafkaRelaySettings) -> None:
    await site.publish(2)
    async with running(relay_of(site, settings)) as relay:
        await eventually(lambda: sum(relay.status().relayed.values()) == 120)


async def waits(site: Site, settings: KafkaRelaySettings, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """A person is told, once, and nothing that is secret."""
    caplog.set_level(_QUIET["aiokafka"], "aiokafka")
    caplog.set_level(logging.DEBUG)
    await site.publish(1)
    async with running(relay_of(site, settings)) as relay:
        await eventually(lambda: why in (relay.status().last_error or ""))
        assert relay.status().state == "waiting"
    told = [
        record for record in caplog.records if record.name == "pipeline.relays.relay" and record.levelno > logging.INFO
    ]
    assert [record.levelno for record in told] == [logging.ERROR]
    assert LOGIN[1] not in caplog.text


async def test_over_tls_with_certificates_of_both_sides(site: Site, tmp_path: Path) -> None:
    (cert, key), (ours, our_key) = certificate(tmp_path, "broker"), certificate(tmp_path, "relay")
    async with gated_broker(server_side(cert, key, client=ours)) as (_, _, address):
        files = {"ca_file": cert, "cert_file": ours, "key_file": our_key}
        await relays_all(site, kafka_settings(address, topic="{line}.{kind}", security_protocol="SSL", **files))


async def test_a_broker_nobody_vouches_for_is_not_talked_to(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other, _ = certificate(tmp_path, "other")
    async with gated_broker(server_side(*certificate(tmp_path, "broker"))) as (_, _, address):
        settings = kafka_settings(address, security_protocol="SSL", ca_file=other)
        await waits(site, settings, "certificate verify failed", caplog)


async def test_with_a_login_over_tls(site: Site, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "broker")
    (tmp_path / "password").write_text(f"{LOGIN[1]}\n")
    async with gated_broker(server_side(cert, key)) as (gate, _, address):
        gate.login = LOGIN
        login = {"security_protocol": "SASL_SSL", "username": LOGIN[0], "password_file": tmp_path / "password"}
        await relays_all(site, kafka_settings(address, topic="{line}.{kind}", ca_file=cert, **login))


async def test_who_makes_no_login_is_not_let_in() -> None:
    """What the test above rests on: nothing is relayed past the gate without one."""
    async with gated_broker() as (gate, _, address):
        gate.login = LOGIN
        sink = KafkaSink(kafka_settings(address))
        with pytest.raises(OtherSideAway):
            await sink.send([Outgoing("events", "line-1", "cam-1", "m", 0, b"{}")])
        await sink.close()


async def test_a_wrong_password_is_told_to_a_person_and_not_shown(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with gated_broker() as (gate, _, address):
        gate.login = (LOGIN[0], "another")
        login = {"security_protocol": "SASL_PLAINTEXT", "username": LOGIN[0], "password": LOGIN[1]}
        await waits(site, kafka_settings(address, **login), "SaslAuthenticationFailed: no such user", caplog)


async def test_who_is_not_let_in_is_asked_why_once_and_not_at_each_try() -> None:
    async with gated_broker() as (gate, _, address):
        gate.login = (LOGIN[0], "another")
        login = {"security_protocol": "SASL_PLAINTEXT", "username": LOGIN[0], "password": LOGIN[1]}
        sink = KafkaSink(kafka_settings(address, **login))
        for logins in (2, 3, 4):  # one a try, and one to ask
            with pytest.raises(OtherSideAway, match=f"broker {address}: .*no such user") as away:
                await sink.send([Outgoing("events", "line-1", "cam-1", "m", 0, b"{}")])
            assert (away.value.needs_a_person, gate.logins_refused) == (True, logins)


async def test_of_several_brokers_the_one_is_told_that_needs_a_person() -> None:
    async with gated_broker() as (gate, _, address):
        gate.login = (LOGIN[0], "another")
        login = {"security_protocol": "SASL_PLAINTEXT", "username": LOGIN[0], "password": LOGIN[1]}
        settings = kafka_settings(address, brokers=[f"127.0.0.1:{free_port()}", address], **login)
        why, needs_a_person = await told(settings, KafkaConnectionError())
    assert why.startswith(f"broker {address}: ")
    assert needs_a_person


async def test_brokers_that_do_not_answer_cost_one_timeout_and_not_one_each(stopwatch: Stopwatch) -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        brokers = [f"127.0.0.1:{port}"] * 20
        stopwatch.restart()
        why, needs_a_person = await told(
            kafka_settings("", brokers=brokers, request_timeout_s=1), KafkaConnectionError()
        )
    assert (why, needs_a_person) == (f"broker 127.0.0.1:{port}: no answer in time", False)
    assert stopwatch.seconds < 1.7


async def test_a_file_that_cannot_be_read_is_told_where_the_brokers_cannot_be_asked_for_it(tmp_path: Path) -> None:
    login = {"security_protocol": "SASL_PLAINTEXT", "username": "line-3", "password_file": tmp_path / "gone"}
    why, needs_a_person = await told(kafka_settings("127.0.0.1:1", **login), KafkaConnectionError())
    assert (why, needs_a_person) == (f"password_file {tmp_path / 'gone'}: No such file or directory", True)
