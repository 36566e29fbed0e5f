"""How many requests are taken in how long: settings of the rate limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from stages.settings import Settings

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_RATE = re.compile(rf"(?P<amount>[1-9][0-9]{{0,6}}) ?/ ?(?P<unit>{'|'.join(_SECONDS)})")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so long."""

    amount: int
    window_s: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`600/minute`. Raises ValueError."""
        found = _RATE.fullmatch(text)
        if found is None:
            raise ValueError("write a rate as 600/minute, 10/second or 5000/hour")
        return cls(int(found["amount"]), _SECONDS[found["unit"]])


def _is_rate(text: str) -> str:
    Rate.parse(text)
    return text


RateText = Annotated[str, AfterValidator(_is_rate)]


class RateLimitSettings(Settings):
    """Requests taken from one caller, however many replicas answer. /healthz and /readyz are not counted."""

    per_principal: RateText = Field(
        "3000/minute",
        description="Requests of one key or token's subject. A stream or a live picture counts once, when it begins.",
    )
    detect: RateText = Field(
        "1200/minute",
        description="POST /v1/detect of one key or subject; counted beside the others, for each takes a model's time "
        "that cameras then lack.",
    )
    per_address: RateText = Field(
        "6000/minute",
        description="Requests from one address (IPv6: one /64), whoever asks, before tokens are looked at. Everybody "
        "behind one proxy is one address unless `api.trusted_proxies` names it.",
    )
    failed: RateText = Field(
        "20/minute",
        description="Keys and tokens from one address that were never good. Behind that it is told 429 for a while, "
        "whatever it sends. Fewer stop guessing sooner; too few lock out a site for one client that is set up wrongly.",
    )
