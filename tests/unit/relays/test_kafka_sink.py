"""What the producer is made with, and what is never taken."""

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.relays.kafka_sink import KafkaSink, producer_arguments
from pipeline.relays.outgoing import Fate, Outgoing
from pipeline.relays.settings import KafkaRelaySettings


def settings(**given: Any) -> KafkaRelaySettings:
    return KafkaRelaySettings.model_validate({"kind": "kafka", "brokers": ["kafka-1"], **given})


def test_every_replica_must_have_it_and_what_is_sent_again_is_recognised() -> None:
    arguments = producer_arguments(settings())
    assert (arguments["acks"], arguments["enable_idempotence"]) == ("all", True)


def test_brokers_that_know_no_idempotence_can_be_used() -> None:
    arguments = producer_arguments(settings(enable_idempotence=False))
    assert (arguments["acks"], arguments["enable_idempotence"]) == ("all", False)


def test_sizes_and_compression_reach_the_producer() -> None:
    arguments = producer_arguments(settings(max_request_size=5000, compression="zstd"))
    assert (arguments["max_request_size"], arguments["max_batch_size"]) == (5000, 5000)
    assert arguments["compression_type"] == "zstd"
    assert producer_arguments(settings(compression="none"))["compression_type"] is None


def test_the_login_reaches_the_producer_and_is_not_shown() -> None:
    login = {"security_protocol": "SASL_PLAINTEXT", "username": "line-3", "password": "pa55-w0rd"}
    assert producer_arguments(settings(**login))["sasl_plain_password"] == "pa55-w0rd"
    assert "pa55-w0rd" not in repr(settings(**login)) + KafkaSink(settings(**login)).address


@pytest.mark.parametrize("topic", ["rayline/{kind}", "", "{camera}", "{kind", "{kind.x}", "{0}"])
def test_a_topic_that_can_be_none_is_refused(topic: str) -> None:
    with pytest.raises(ValidationError, match="a topic is letters"):
        settings(topic=topic)


def test_no_lines_at_all_are_no_relay() -> None:
    login = {"security_protocol": "SASL_PLAINTEXT", "username": "line-3", "password": "pa55-w0rd"}
    with pytest.raises(ValidationError, match="lines") as refused:
        settings(lines=[], **login)
    assert "pa55-w0rd" not in str(refused.value)


async def test_a_message_above_the_limit_is_refused_before_anything_is_connected() -> None:
    message = Outgoing("events", "line-1", "cam-1", "m", 0, b"x" * 2000)
    (sent,) = await KafkaSink(settings(max_request_size=1000)).send([message])
    assert sent.fate is Fate.REFUSED
    assert "max_request_size is 1000" in sent.reason
