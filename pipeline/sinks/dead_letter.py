"""What is set aside of a message that a consumer group gives up, beside its stream: by relays, history and client."""

from __future__ import annotations

from pipeline.sinks.group_reader import Delivery
from stages.results.messages import rfc3339


def dead_letter(delivery: Delivery, why: str, at: float) -> dict[str, str | bytes]:
    """Its fields, for `GroupReader.bury`. `at`: Unix seconds; `why` must hold no secret."""
    return {
        "message_id": delivery.message_id,
        "data": delivery.data,
        "stream": delivery.stream,
        "entry_id": delivery.entry_id,
        "tries": str(delivery.tries),
        "error": why,
        "at": rfc3339(at),
    }
