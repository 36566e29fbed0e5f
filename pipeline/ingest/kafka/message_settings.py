"""How the messages of a topic are read."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from stages.settings import Settings

_PATH = r"json:[^.]+(\.[^.]+)*"
CameraFrom = Annotated[str, StringConstraints(pattern=rf"^(key|header:.+|{_PATH})$")]
TimeFrom = Annotated[str, StringConstraints(pattern=rf"^(timestamp|header:.+|{_PATH})$")]
Scheme = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*$")]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class MessageFormat(StrEnum):
    """What a message's bytes are."""

    AUTO = "auto"  # told by the bytes
    IMAGE = "image"  # JPEG, PNG or WebP
    H264 = "h264"  # access units, Annex B
    H265 = "h265"
    JSON = "json"  # an envelope that names or holds an image


class MessageSettings(Settings):
    """Where in a message camera, time and picture are, and how much of it is read at most."""

    camera_from: CameraFrom = Field(
        "key",
        description="Where the camera's name stands: `key`, `header:NAME`, or `json:a.b` (a path in the envelope). "
        "Only with `key` does Kafka keep a camera's messages in one partition by itself.",
    )
    time_from: TimeFrom = Field(
        "timestamp",
        description="Where the capture time stands: `timestamp` (the record's own), `header:NAME` or `json:a.b`; RFC "
        "3339 with zone, or milliseconds since 1970. The record's is when it was sent, unless the producer sets it.",
    )
    format: MessageFormat = Field(
        MessageFormat.AUTO,
        description="auto tells JPEG, PNG, WebP, H.264, H.265 and JSON apart by the bytes; naming one refuses "
        "all others.",
    )
    max_message_bytes: int = Field(
        16 * 2**20,
        ge=1024,
        le=2**30,
        description="Bytes of a message, and of what its URI names. More lets larger pictures in; less bounds the "
        "memory a camera's messages take.",
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1024,
        le=2**30,
        description="Pixels of a message, all its pictures together, told before they are decoded where an image says "
        "its size. More lets larger pictures in; less bounds what a small message can blow up to.",
    )
    picture_interval_ms: float = Field(
        40.0,
        gt=0,
        le=60_000,
        description="Where a message holds several pictures: milliseconds from one to the next; the message's time is "
        "the first one's. Too long makes a message's last pictures later than the next message's first.",
    )
    uri_schemes: tuple[Scheme, ...] = Field(
        (),
        description="Schemes an envelope's `uri` may have, such as [https, s3]; none unless listed. Each lets whoever "
        "may write to the topic make this machine read there.",
    )
    uri_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (or buckets) an envelope's `uri` may name; empty: any. Naming them keeps messages from "
        "reaching into the rest of the network; one left out is refused.",
    )
    uri_root: Path | None = Field(
        None, description="Folder that `file:` URIs must stay in, links followed; needed where `file` is listed."
    )
    fetch_timeout_s: float = Field(
        5.0,
        gt=0,
        le=60,
        description="Seconds for fetching what a URI names. Longer suits distant storage; shorter holds the camera's "
        "other messages back less.",
    )
    storage_options: dict[Scheme, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description="By scheme, passed to fsspec as they are, such as {s3: {endpoint_url: ..., key: ..., secret: "
        "...}}.",
    )

    @model_validator(mode="after")
    def _file_needs_root(self) -> Self:
        if "file" in self.uri_schemes and self.uri_root is None:
            raise ValueError("uri_schemes lists file: uri_root must name the folder those must stay in")
        return self


def scheme_of(uri: str) -> str | None:
    """In small letters; None where none is written, as in a path or a chain (`simplecache::https://...`)."""
    found = _SCHEME.match(uri)
    return found.group(1).lower() if found else None
