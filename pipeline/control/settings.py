"""The HTTP API's settings: where it listens, whom it lets in, and how much it takes."""

from __future__ import annotations

from pydantic import Field, field_validator

from pipeline.control.access.listening import Listening
from pipeline.control.access.settings import AuthSettings
from pipeline.control.detect.settings import DetectLimits
from pipeline.control.rates.settings import RateLimitSettings
from pipeline.ingest.address import KAFKA, NETWORK_SCHEMES, SCHEMES


class ApiSettings(Listening):
    """The HTTP API. Nobody is let in without a token or a key, made by `rayline token`."""

    port: int = Field(8000, ge=1, le=65535, description="Port it listens on.")
    replicas: int = Field(
        1,
        ge=1,
        le=16,
        description="Processes that answer. More decode more uploaded images at once; each takes 0.2 GB.",
    )
    max_requests: int = Field(
        256,
        ge=1,
        le=10_000,
        description="Requests a replica works on at once, streams and live pictures included; as many may wait, and "
        "others are told 503. More serve more watchers; fewer keep answers quick under a flood.",
    )
    max_body_bytes: int = Field(
        20_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Longest request body. A longer one is refused with 413. Ten such have room in memory at once; "
        "others are told 503.",
    )
    body_timeout_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Longest a body may take to come. Shorter lets go of slow senders sooner; too short cuts off slow "
        "lines.",
    )
    request_timeout_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Longest any answer may take, then it is 503; a stream's time ends when it begins.",
    )

    auth: AuthSettings = Field(
        default_factory=AuthSettings, description="Whom it lets in beside the keys that `rayline token make` makes."
    )
    rate_limits: RateLimitSettings = Field(
        default_factory=RateLimitSettings, description="How often one caller may ask; more is told 429."
    )

    camera_schemes: tuple[str, ...] = Field(
        (*NETWORK_SCHEMES, KAFKA),
        max_length=16,
        description="Kinds of addresses a camera may be given by the API. With `file` or `v4l2`, whoever may change "
        "cameras reads this machine's videos, pictures and devices.",
    )

    @field_validator("camera_schemes")
    @classmethod
    def _are_schemes(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        for scheme in schemes:
            if scheme not in SCHEMES:
                raise ValueError(f"unknown scheme {scheme!r}: there are {', '.join(SCHEMES)}")
        return schemes

    detect: DetectLimits = Field(
        default_factory=DetectLimits, description="Detection on request: sizes, URLs, and its share of the model."
    )

    max_watchers: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Watchers of live pictures a replica serves at once; others are told 503. More takes more of the "
        "network, some 0.5 MB/s each; all that watch one camera share its one reader.",
    )
    max_streams: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Listeners to /v1/stream a replica serves at once; others are told 503. Each has a connection to "
        "Redis of its own.",
    )
    stream_max_s: float = Field(
        3600.0,
        ge=1,
        le=86400,
        description="After so long live pictures and streams end, and clients come again, with a token that holds. "
        "Longer interrupts less; shorter lets go sooner of those whose token has run out.",
    )

    @property
    def for_proxies(self) -> str:
        """What the HTTP proxies need of it, as JSON of these settings; no secret."""
        return self.model_dump_json(include={"trusted_proxies", "max_requests", "max_body_bytes", "body_timeout_s"})
