"""How much `POST /v1/detect` takes, where it fetches images from, and how much of the model it may have."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from stages.settings import Settings

_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")


class Fetching(StrEnum):
    """What an `image_url` may name."""

    OFF = "off"  # no image_url
    ALLOWED = "allowed"  # what allowed_hosts and allowed_networks name
    PUBLIC = "public"  # these, and every public address


class DetectLimits(Settings):
    """Detection on request. What waits holds encoded images; what is decoded is two calls' worth for each model."""

    max_images: int = Field(
        16, ge=1, le=256, description="Images in one request. More save requests; fewer keep each short."
    )
    max_pixels: int = Field(
        16_000_000,
        ge=10_000,
        le=400_000_000,
        description="Pixels of one image, told by its header before anything is decoded. More takes larger images; a "
        "decoded one takes up to 3 bytes a pixel, and (max_in_flight + 1) * max_batch of them are held for each model.",
    )
    max_image_bytes: int = Field(
        10_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Bytes of one encoded image, uploaded, in base64 or fetched. max_waiting of them may be held.",
    )
    max_waiting: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Images that wait or are worked on in one replica; further ones are told 503 and when to come "
        "again. More ride out bursts; fewer keep waits short and memory small.",
    )
    max_batch: int = Field(
        1,
        ge=1,
        le=256,
        description="Images handed to the model in one call, from whichever requests wait; no more than the model's "
        "own `max_batch`. More serve more images a "
        "second; fewer hold a camera's frame up for less.",
    )
    max_in_flight: int = Field(
        1,
        ge=1,
        le=64,
        description="Calls to one model at once. More serve more images a second on a machine with room to spare, and "
        "take it from the cameras on one without.",
    )
    rest: float = Field(
        4.0,
        ge=0,
        le=100,
        description="While more wait: pause after each call, in parts of the time it took. More leaves the model to "
        "the cameras; 0 takes all they leave.",
    )
    decode_threads: int = Field(
        1, ge=1, le=64, description="Images decoded at once, at low priority. More answer sooner on idle cores."
    )
    timeout_s: float = Field(
        20.0,
        gt=0,
        le=600,
        description="Longest a request is worked on; then it is 503. Longer rides out a slow model; shorter lets "
        "callers try elsewhere sooner.",
    )
    fetch: Fetching = Field(
        Fetching.PUBLIC,
        description="What an `image_url` may name. off: nothing; allowed: allowed_hosts and allowed_networks alone; "
        "public: these and every public address. Addresses of this machine and its networks are never public.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        max_length=256,
        description="Hosts that images are fetched from though their addresses are not public, such as nas.plant.local."
        " Whoever may call this API then reads images from them. Link-local addresses need allowed_networks.",
    )
    allowed_networks: tuple[str, ...] = Field(
        (),
        max_length=256,
        description="Networks that images are fetched from though they are not public, such as 10.1.2.0/24. Whoever "
        "may call this API then reads images from every host in them.",
    )
    fetch_ports: tuple[int, ...] = Field(
        (80, 443),
        min_length=1,
        max_length=64,
        description="Ports an `image_url` may name. More reach more servers, and more that are none for images.",
    )
    fetch_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Longest one image may take to be fetched, its redirects included."
    )
    max_fetches: int = Field(8, ge=1, le=1000, description="Images fetched at once in one replica; others wait.")
    max_url_length: int = Field(2048, ge=16, le=65536, description="Characters of an `image_url`.")

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host's name in lower case; addresses go into allowed_networks")
        return hosts

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network, strict=False)  # its own ValueError says what is wrong
        return networks

    @field_validator("fetch_ports")
    @classmethod
    def _are_ports(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if wrong := [port for port in ports if not 1 <= port <= 65535]:
            raise ValueError(f"{wrong[0]} is no port: 1 to 65535")
        return ports

    @model_validator(mode="after")
    def _a_request_has_room(self) -> Self:
        if self.max_images > self.max_waiting:
            raise ValueError(
                f"max_images {self.max_images} never find room where max_waiting is {self.max_waiting}: raise it, or "
                "lower max_images"
            )
        return self
