"""A topic read with a login over TLS, both kept by the proxy before the broker; the relay's side is beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.sinks.redis_streams import RedisSettings
from tests.services.kafka.rig import jpeg, make_topic, names, numbers, published, reading, send, until
from tests.services.relay.produce_gate import gated_broker
from tests.services.relay.test_kafka_security import LOGIN, certificate, server_side

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


async def test_a_topic_is_read_with_a_login_over_tls(redis: RedisSettings, tmp_path: Path) -> None:
    (cert, key), (ours, our_key) = certificate(tmp_path, "broker"), certificate(tmp_path, "reader")
    async with gated_broker(server_side(cert, key, client=ours)) as (gate, _, address):
        gate.login = LOGIN
        files = {"ca_file": cert, "cert_file": ours, "key_file": our_key}
        login = {"security_protocol": "SASL_SSL", "username": LOGIN[0], "password": LOGIN[1], **files}
        settings = TopicSettings.model_validate({"brokers": [address], **login})
        lets_in = {name: value for name, value in settings.client_arguments().items() if name != "bootstrap_servers"}
        await make_topic(address, 1, **lets_in)
        await send(address, [("cam-0", jpeg(n)) for n in range(5)], **lets_in)

        async def has_all() -> bool:
            return len(await published(redis, "cam-0")) == 5

        async with reading(settings, redis, names(1), tmp_path):
            await until("all of them", has_all)
        assert await numbers(redis, "cam-0") == list(range(5))
        assert gate.logins_refused == 0
