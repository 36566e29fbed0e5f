"""What is relayed out of Redis, and to where."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.kafka_settings import KafkaConnection
from pipeline.names import Name
from stages.settings import Settings

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,200}")


class Topic(StrEnum):
    """What there is to relay: the streams by kind."""

    DETECTIONS = "detections"
    EVENTS = "events"
    INSPECTIONS = "inspections"


class RelayBase(Settings):
    """What every relay has."""

    topics: tuple[Topic, ...] = Field(
        tuple(Topic), min_length=1, description="What is relayed: detections, events, inspections."
    )
    lines: tuple[Name, ...] | None = Field(
        None,
        min_length=1,
        description="Lines whose messages are relayed. null: all there are, those that come later included.",
    )
    max_in_flight: int = Field(
        500,
        ge=1,
        le=100_000,
        description="Messages under way that Redis still holds for this relay: the most that may arrive twice after a "
        "crash. More is faster over a slow network; fewer are less to tell apart.",
    )
    max_dead_letters: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Messages the other side refuses for good that are kept in Redis, a line. More leaves time to look "
        "at them; each takes what the message takes.",
    )


class Compression(StrEnum):
    """How batches are packed."""

    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


class KafkaRelaySettings(RelayBase, KafkaConnection):
    """A relay into Kafka topics."""

    kind: Literal["kafka"] = Field(description="`kafka`: topics of a Kafka cluster.")
    topic: str = Field(
        "rayline.{kind}",
        description="Name of the topics; {kind} becomes detections, events or inspections, and {line} the line. Their "
        "messages have the camera as key (inspections: the line) and so keep their order.",
    )
    enable_idempotence: bool = Field(
        True,
        description="Lets the brokers recognise a batch that was sent again, so an answer lost on the way doubles "
        "nothing. false: for brokers that cannot (before 0.11), or where the user may not.",
    )
    compression: Compression = Field(
        Compression.LZ4,
        description="none, gzip, snappy, lz4 or zstd. lz4 and snappy are cheap and halve the traffic; zstd and gzip "
        "save more and take more CPU.",
    )
    max_request_size: int = Field(
        1_000_000,
        ge=1000,
        le=100_000_000,
        description="Bytes of the largest batch, and so of the largest message. Keep it below the brokers' "
        "`message.max.bytes`: a message that is larger is set aside as a dead letter.",
    )

    @field_validator("topic")
    @classmethod
    def _is_a_topic(cls, topic: str) -> str:
        try:
            name = topic.format(kind="detections", line="line")
        except (KeyError, IndexError, ValueError, AttributeError):
            name = ""
        if not _TOPIC.fullmatch(name):
            raise ValueError("a topic is letters, digits, '.', '_' and '-', and may hold {kind} and {line}")
        return topic


class Fsync(StrEnum):
    """When a file's content is made to outlive a power cut."""

    ALWAYS = "always"
    SECOND = "second"
    NEVER = "never"


class JsonLinesRelaySettings(RelayBase):
    """A relay into files."""

    kind: Literal["jsonl"] = Field(description="`jsonl`: files of one message a line.")
    folder: Path = Field(description="Where the files are; made if it is not there. One relay a folder.")
    max_file_bytes: int = Field(
        100_000_000,
        ge=1000,
        le=10**12,
        description="A file is closed and the next begun at about this size. Larger makes fewer; smaller are handled "
        "sooner by who waits for whole files.",
    )
    max_file_age_s: float = Field(
        86400.0, ge=1, le=366 * 86400.0, description="The same by age, in seconds since the file's first message."
    )
    max_files: int = Field(
        30,
        ge=2,
        le=100_000,
        description="Files kept of each topic; the oldest go first. More reaches further back and takes as many times "
        "`max_file_bytes`.",
    )
    fsync: Fsync = Field(
        Fsync.SECOND,
        description="always: nothing is taken as stored before the disk has it, a few ms a batch; second: a power cut "
        "may cost the last second; never: what the system had not written. A crash of the process alone costs nothing.",
    )


RelaySettings = Annotated[KafkaRelaySettings | JsonLinesRelaySettings, Field(discriminator="kind")]
