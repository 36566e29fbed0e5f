"""What can be set about a Kafka topic that brings pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from pipeline.ingest.kafka.message_settings import MessageSettings
from pipeline.kafka_settings import KafkaConnection

_NAME = r"^[A-Za-z0-9._-]{1,249}$"
DEAD_LETTERS = ".dead-letters"


class StartAt(StrEnum):
    """Where reading begins in a partition that was never read."""

    EARLIEST = "earliest"
    LATEST = "latest"


class TopicSettings(KafkaConnection):
    """One topic whose messages hold pictures; cameras name it as `url: kafka:NAME`."""

    topic: str | None = Field(None, pattern=_NAME, description="The topic's name in Kafka. null: as it is called here.")
    group: str = Field(
        "rayline",
        pattern=_NAME,
        description="Consumer group. Readers of one group share the partitions; another Rayline that shall read all of "
        "them too needs another group, and another Redis.",
    )
    readers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that read, each its share of the partitions. More decode more at once; those beyond the "
        "number of partitions rest.",
    )
    start_at: StartAt = Field(
        StartAt.EARLIEST,
        description="Where reading begins in a partition that was never read: earliest misses nothing that Kafka still "
        "holds, latest begins with what comes from now on.",
    )
    messages: MessageSettings = Field(default_factory=MessageSettings, description="How its messages are read.")
    dead_letter_topic: str | None = Field(
        None,
        pattern=_NAME,
        description="Topic to which messages go that give no picture, with the reason. null: `TOPIC.dead-letters`.",
    )
    dead_letter_max_bytes: int = Field(
        1_000_000,
        ge=1000,
        le=2**30,
        description="Largest dead letter; a larger message goes there without its bytes. More keeps larger ones whole, "
        "and needs `max.message.bytes` of that topic to be as large.",
    )
    max_buffered_bytes: int = Field(
        64 * 2**20,
        ge=2**20,
        le=2**34,
        description="Bytes of messages one reader of up to eight partitions holds that were fetched and not decoded "
        "yet; then it takes no more. More rides out slow brokers; less bounds memory. Half of it waits for decoders; "
        "beside that each partition has at most two fetches of a thirty-second of it, or of 1 MiB or one message where "
        "that is more.",
    )
    buffer_frames: int = Field(
        4,
        ge=1,
        le=256,
        description="Decoded pictures held per partition. More ride out a hiccup, at the price of memory.",
    )
    fetch_tries: int = Field(
        3,
        ge=1,
        le=100,
        description="Times a picture that an envelope's URI names is fetched before its message is a dead letter. More "
        "rides out storage that is away and holds the partition meanwhile.",
    )

    def topic_name(self, name: str) -> str:
        """The topic in Kafka; `name` is what it is called in the configuration."""
        return self.topic or name

    def dead_letters_of(self, topic: str) -> str:
        """The topic of its dead letters."""
        return self.dead_letter_topic or topic + DEAD_LETTERS


@dataclass(frozen=True, slots=True)
class TopicShare:
    """The topic a shard reads from, as one of a group of readers."""

    topic: str  # its name in Kafka
    settings: TopicSettings
    first: bool  # of its readers
