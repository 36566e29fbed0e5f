"""Reaching Redis: the address, how long to wait for it, and its errors in our words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from pipeline.masking import mask
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.redis_tls import CHECK_HOSTNAME, QUERY, RedisTls, tls_trouble, unreadable
from stages.settings import Settings

EMBEDDED = "embedded"
_SCHEMES = ("redis", "rediss", "unix")

# Answers of a server that cannot take a write now, and will by itself: by class where redis-py has one, for it cuts the
# code off the text then, else by text; 6.2 wraps those a script got.
_PASSING_ERRORS = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.OutOfMemoryError,
)
_PASSING = re.compile(
    r"(?:^|-)(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|OOM|MISCONF|NOREPLICAS|UNKILLABLE)\b|maxmemory"
)


class RedisSettings(Settings):
    """Where results are published and how much of them is kept."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://[user:password@]host:port/db, rediss:// for TLS, unix:///path, or `embedded` for a server "
        "of Rayline's own on this machine. Take the password from ${ENV}; it is masked wherever settings are shown.",
    )
    tls: RedisTls | None = Field(
        None, description="rediss:// only: the certificates. null trusts whom the machine trusts and shows none."
    )
    maxlen_detections: int = Field(
        10_000,
        ge=100,
        le=100_000_000,
        description="Entries kept per camera, about. More lets slow readers catch up; "
        "each takes about 1.5 kB of Redis memory (10,000 are 5 min at 30 frames/s and 15 MB).",
    )
    maxlen_events: int = Field(
        10_000,
        ge=100,
        le=100_000_000,
        description="Events kept per camera, about. More lets slow readers catch up and takes about 0.5 kB each.",
    )
    maxlen_inspections: int = Field(
        50_000,
        ge=100,
        le=100_000_000,
        description="Inspections kept per line, about. More lets slow readers catch up "
        "and takes about 1 kB each (50,000 are 14 h at one part a second).",
    )
    maxlen_hard_factor: int = Field(
        4,
        ge=1,
        le=1000,
        description="A stream that a registered relay has not read may grow to so many times its `maxlen`; then the "
        "oldest go unread, and an event says so. More bridges a longer absence of the other side and takes as many "
        "times the memory; 1 lets nobody hold a stream.",
    )
    connect_timeout_s: float = Field(
        1.0, gt=0, le=60, description="Wait for a connection. Longer suits distant servers; shorter notices a dead one."
    )
    answer_timeout_s: float = Field(
        2.0,
        gt=0,
        le=60,
        description="Wait for one answer. Longer rides out a server busy saving; shorter notices a frozen one.",
    )
    retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Further attempts before a write counts as failed. More hides short breaks but "
        "holds the camera's next batch back for as long.",
    )
    deadline_s: float = Field(
        5.0,
        gt=0,
        le=300,
        description="Longest a call may take, attempts and waits together. Longer hides longer "
        "breaks; shorter reports them sooner.",
    )

    @field_validator("url")
    @classmethod
    def _is_reachable(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text == EMBEDDED:
            return url
        parts = urlsplit(text)
        try:
            port_fits = parts.port is None or parts.port > 0
        except ValueError:
            port_fits = False
        if parts.scheme not in _SCHEMES or not (parts.hostname or parts.path) or not port_fits:
            raise ValueError("must be redis://host:port/db, rediss://host:port/db, unix:///path or `embedded`")
        known = {"db", *QUERY.values(), CHECK_HOSTNAME} if parts.scheme == "rediss" else {"db"}
        if not {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} <= known:
            raise ValueError(f"behind its ? a {parts.scheme}:// address may have {', '.join(sorted(known))}")
        return url

    @model_validator(mode="after")
    def _has_tls_to_speak_of(self) -> Self:
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme == "rediss":
            RedisTls.of_query(self._query())  # an address may say no more than the settings may
        elif self.tls is not None:
            raise ValueError("certificates are of no use without TLS: write the address as rediss://")
        return self

    def _query(self) -> dict[str, str]:
        """What stands behind the address's ?, and over it what `tls` says."""
        said = dict(parse_qsl(urlsplit(self.url.get_secret_value()).query))
        return said if self.tls is None else said | self.tls.query()

    @property
    def embedded(self) -> bool:
        """True where Rayline is to start a server itself."""
        return self.url.get_secret_value() == EMBEDDED

    @property
    def address(self) -> str:
        """host:port, or the socket's path: what may be shown."""
        if self.embedded:
            return EMBEDDED
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme == "unix":
            return parts.path
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or 6379}"

    @property
    def whole_url(self) -> SecretStr:
        """The address with what `tls` says in it, for who is given an address alone."""
        if self.tls is None:
            return self.url
        parts = urlsplit(self.url.get_secret_value())
        return SecretStr(urlunsplit(parts._replace(query=urlencode(self._query()))))

    def at(self, url: str) -> Self:
        """The same settings for another address, such as that of an embedded server."""
        return self.model_copy(update={"url": SecretStr(url)})


def connect(settings: RedisSettings) -> Redis:
    """A client by the settings; connects at its first command. Its answers are bytes.

    Raises SinkRefused where a certificate's file cannot be read.
    """
    if settings.embedded:
        raise ValueError("start an EmbeddedRedis first and pass settings.at(server.url)")
    url = settings.whole_url.get_secret_value()
    if trouble := unreadable(dict(parse_qsl(urlsplit(url).query))):
        raise SinkRefused(f"redis at {settings.address}: {trouble}")
    # redis-py would retry 10 times and hide a dead server for most of a minute.
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), settings.retries)
    client: Redis = Redis.from_url(
        url,
        socket_connect_timeout=settings.connect_timeout_s,
        socket_timeout=settings.answer_timeout_s,
        retry=retry,
        client_name="rayline",
        protocol=2,  # answers of one shape, whatever the server speaks
    )
    return client


class RedisLink:
    """One connection, used by one caller at a time, whose every use has an end.

    redis-py gives a connection that was cancelled half-way back to its pool, where its late answer would be taken for
    the next command's. So no other caller has one meanwhile, and after any failure the connection is thrown away.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self._lock = asyncio.Lock()
        self._client: Redis | None = None

    @asynccontextmanager
    async def use(self, extra_s: float = 0.0) -> AsyncIterator[Redis]:
        """A client for what runs inside, at most `deadline_s` + `extra_s`. Raises SinkUnavailable or SinkRefused."""
        limit_s = self.settings.deadline_s + extra_s
        try:
            async with asyncio.timeout(limit_s), self._lock:
                with _cancellation_kept():
                    await asyncio.sleep(0)  # raises a cancellation asked for before this
                    try:
                        self._client = self._client or connect(self.settings)
                        yield self._client
                    except BaseException:
                        await self._drop()
                        raise
        except TimeoutError as exc:
            raise SinkUnavailable(f"redis at {self.settings.address} gave no answer within {limit_s:g} s") from exc
        except exceptions.RedisError as exc:
            raise sink_error(self.settings, exc) from None  # its own text and causes may hold the password
        except OSError as exc:
            raise SinkUnavailable(f"redis at {self.settings.address}: {exc.strerror or type(exc).__name__}") from None

    async def close(self) -> None:
        """Let go of the connection once its user is done; may be called more than once, and used again after."""
        async with self._lock:
            with _cancellation_kept():
                await self._drop()

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(exceptions.RedisError, OSError):
                await client.aclose()


@contextmanager
def _cancellation_kept() -> Iterator[None]:
    """Cancels what ran inside if that was asked for and got lost.

    redis-py sends through asyncio.wait_for, which on Python 3.11 swallows a cancellation that comes just as it is done.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except Exception:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from None
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def sink_error(settings: RedisSettings, exc: exceptions.RedisError) -> SinkUnavailable:
    """What a redis-py error means for a writer."""
    said = tls_trouble(exc) or _clean(settings, str(exc)) or type(exc).__name__
    text = f"redis at {settings.address}: {said}"
    if isinstance(exc, exceptions.AuthenticationError | exceptions.NoPermissionError):
        return SinkRefused(text)
    if isinstance(exc, _PASSING_ERRORS):
        return SinkUnavailable(text)
    return SinkUnavailable(text) if _PASSING.search(str(exc)) else SinkRefused(text)


def _clean(settings: RedisSettings, text: str) -> str:
    parts: Any = urlsplit(settings.url.get_secret_value())
    text = mask(text)
    for secret in {parts.password, unquote(parts.password)} if parts.password else ():
        text = text.replace(secret, "***")
    return text
