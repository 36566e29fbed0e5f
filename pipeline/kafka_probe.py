"""Why no broker lets us in: aiokafka's clients say only that none did."""

from __future__ import annotations

import asyncio

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from pipeline.kafka_settings import KafkaConnection


async def why_unreachable(connection: KafkaConnection) -> tuple[str, Exception] | None:
    """The first broker that cannot be reached, and the error; None where all can be, now. Raises KafkaMisconfigured."""
    arguments = connection.client_arguments()
    del arguments["bootstrap_servers"]
    for broker in connection.brokers:
        host, _, port = broker.rpartition(":")
        try:
            async with asyncio.timeout(connection.request_timeout_s):
                opened = await create_conn(host.strip("[]"), int(port), **arguments)
        except (OSError, KafkaError, TimeoutError) as exc:
            return broker, exc
        opened.close()
    return None
