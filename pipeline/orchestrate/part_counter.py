"""A counter of parts beside the cameras: entries of a stream in Redis, or a running total that a web server answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

import orjson
from pydantic import ConfigDict, Field, field_validator, model_validator
from redis.exceptions import ResponseError

from pipeline.ingest.address import SecretUrl, mask
from stages.errors import RaylineError
from stages.settings import Settings

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from redis.asyncio import Redis

PAGE = 1000  # entries read at once; what is left waits for the next reading
START = "0-0"
_MOST_BYTES = 4096  # of an answer that holds one number
_MOST_DIGITS = 15  # of a count: more is no count


class PartCounterSettings(Settings):
    """Where a line's own count of its parts comes from: one of `stream` and `url`."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input may hold a password

    stream: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="Key of a stream in Rayline's Redis. Each entry counts one part, or the whole number in its field "
        "`count`. Keep at least a minute of entries: what is trimmed before it is read is not counted.",
    )
    url: SecretUrl | None = Field(
        None,
        description="http:// or https://: answers, once a second, how many parts it has counted so far, as a JSON "
        'number or as {"count": number}. A total that falls is a counter that was reset. Keep the password in '
        "`url_file` or write ${NAME} and set NAME in the environment; it is masked wherever the address is shown.",
    )
    timeout_s: float = Field(
        2.0,
        gt=0,
        le=60,
        description="`url`: longest wait for an answer. Longer suits a slow counter; shorter tells sooner that it is "
        "gone. Nothing else waits for it.",
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretUrl | None) -> SecretUrl | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url.get_secret_value())
            usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be http://host[:port]/path or https://host[:port]/path")
        return url

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.stream is None) == (self.url is None):
            raise ValueError("a part counter is one of `stream` (a key in Redis) and `url` (http or https)")
        return self

    @property
    def address(self) -> str:
        """What may be shown of it."""
        return f"stream {self.stream}" if self.url is None else str(self.url)


class CounterError(RaylineError):
    """The counter cannot be read, or what it says is no count; the text holds no credentials."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a counter said."""

    parts: int  # since the place before
    place: str  # from where the next reading goes on
    problem: str | None = None  # what was read and is no count


class PartCounter(Protocol):
    """Counts on from a place; holds nothing itself, so whoever knows the place can go on."""

    async def read(self, place: str | None) -> Reading:
        """The parts since `place`; None: none, for counting begins here. Raises CounterError, or RedisError."""


def counter_of(settings: PartCounterSettings, redis: Redis) -> PartCounter:
    """The counter that the settings mean. The client is the caller's to open and close."""
    if settings.url is None:
        return StreamCounter(redis, settings.stream or "")
    return UrlCounter(settings.url, settings.timeout_s)


class StreamCounter:
    """Counts the entries of a Redis stream; its place is the last entry's id."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key

    async def read(self, place: str | None) -> Reading:
        """The parts of at most PAGE entries behind `place`; an entry with a count that is none is one part."""
        entries: Any
        try:
            if place is None:
                entries = await self._redis.xrevrange(self._key, count=1)
                return Reading(0, entries[0][0].decode() if entries else START)
            entries = await self._redis.xrange(self._key, min=f"({place}", count=PAGE)
        except ResponseError as exc:
            raise CounterError(f"stream {self._key}: {exc}") from exc
        parts, problem = 0, None
        for entry_id, fields in entries:
            place = entry_id.decode()
            count = fields.get(b"count", b"1")
            if not (count.isdigit() and len(count) <= _MOST_DIGITS):
                problem = f"stream {self._key}: entry {place} has a `count` that is no whole number, it counts as one"
                count = b"1"
            parts += int(count)
        return Reading(parts, place, problem)


class UrlCounter:
    """Counts by the total that a web server answers; its place is the last total."""

    def __init__(self, url: SecretUrl, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    async def read(self, place: str | None) -> Reading:
        """How much the total rose since `place`; one that fell began anew, and counts whole."""
        total = await self._total()
        if place is None:
            return Reading(0, str(total))
        before = int(place)
        return Reading(total - before if total >= before else total, str(total))

    async def _total(self) -> int:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url.get_secret_value()) as answer,
            ):
                if answer.status != 200:
                    raise CounterError(f"{self._url} answered {answer.status}")
                body = await _body(answer)
        except TimeoutError as exc:
            raise CounterError(f"{self._url} gave no answer within {self._timeout_s:g} s") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # its text may hold the address
            why = mask(str(exc), self._url.secrets()) or type(exc).__name__
            raise CounterError(f"{self._url}: {why}") from None
        total = _number(body)
        if total is None:
            raise CounterError(f'{self._url} answered no count: a JSON number, or {{"count": number}}')
        return total


async def _body(answer: ClientResponse) -> bytes:
    body = b""
    async for chunk in answer.content.iter_chunked(_MOST_BYTES):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError(f"its answer is longer than {_MOST_BYTES} bytes")
    return body


def _number(body: bytes) -> int | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, dict):
        value = value.get("count")
    is_whole = (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )
    return int(value) if is_whole and 0 <= value < 10**_MOST_DIGITS else None
