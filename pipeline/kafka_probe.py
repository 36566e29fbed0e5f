"""Why no broker lets us in: aiokafka's clients say only that none did."""

from __future__ import annotations

import asyncio
import ssl

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from pipeline.kafka_settings import KafkaConnection, KafkaMisconfigured
from pipeline.masking import mask

_NEEDS_A_PERSON = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTopicError,
    KafkaMisconfigured,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    ssl.SSLError,
)


async def told(connection: KafkaConnection, exc: BaseException) -> tuple[str, bool]:
    """Why a client failed, without a secret, and whether that needs a person.

    Where it only says that it is not connected, the brokers are asked themselves, within `request_timeout_s`: the text
    then names one that does not let us in.
    """
    if isinstance(exc, KafkaConnectionError):
        try:
            found = await _unreachable(connection)
        except KafkaMisconfigured as misconfigured:
            return reason(misconfigured), True
        if found is not None:
            broker, why = found
            return f"broker {broker}: {reason(why)}", needs_a_person(why)
    return reason(exc), needs_a_person(exc)


def reason(exc: BaseException) -> str:
    """What an error says, without a secret."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    text, name = mask(str(exc)).strip(), type(exc).__name__
    if isinstance(exc, KafkaMisconfigured):
        return text
    return text if name in text else f"{name}: {text}" if text else name


def needs_a_person(exc: BaseException) -> bool:
    """True where waiting will not heal it."""
    return isinstance(exc, _NEEDS_A_PERSON)


async def _unreachable(connection: KafkaConnection) -> tuple[str, Exception] | None:
    """A broker that cannot be reached, and the error; one that needs a person before the others. None: all can be."""
    arguments = connection.client_arguments()
    del arguments["bootstrap_servers"]
    first: tuple[str, Exception] | None = None
    broker = connection.brokers[0]
    try:
        async with asyncio.timeout(connection.request_timeout_s):
            for broker in connection.brokers:
                host, _, port = broker.rpartition(":")
                try:
                    (await create_conn(host.strip("[]"), int(port), **arguments)).close()
                except (OSError, KafkaError) as exc:
                    if needs_a_person(exc):
                        return broker, exc
                    first = first or (broker, exc)
    except TimeoutError as exc:
        first = first or (broker, exc)
    return first
