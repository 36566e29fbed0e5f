"""One log for every process: console or JSON, camera and shard on each line, credentials masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.masking import MASK, mask
from pipeline.observe.settings import LogFormat, LogSettings

__all__ = ["LogSettings", "bind_log_context", "log_context", "mask_secrets", "set_up_logs"]


SECRET_KEYS = frozenset({"password", "passwd", "token", "secret", "authorization", "api_key"})

# Libraries that log each retry of a dead peer, or each step of their own: our own line says it once
_QUIET = {
    "alembic": logging.WARNING,
    "aiokafka": logging.CRITICAL,  # and at DEBUG the password
    "asyncio": logging.WARNING,
    "ray": logging.WARNING,
    "ray.serve": logging.WARNING,
    "ultralytics": logging.WARNING,
}


def set_up_logs(settings: LogSettings, stream: TextIO | None = None, **always: str) -> None:
    """Route structlog and stdlib logging of this process to `stream` (default stderr). May be called again.

    `always` stands on every line of every thread: what this process is, such as its shard.
    """
    stream = stream or sys.stderr

    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**always, **event}

    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_process,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        drop_rays_marks,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings.log, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # set up may come again, in tests and after a fork
    )


@contextmanager
def log_context(**values: str) -> Iterator[None]:
    """Every line logged inside, by any logger of this thread or task, carries these: `log_context(camera="cam-1")`."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


def bind_log_context(**values: str) -> None:
    """The same for the rest of this thread or task: said once at the start of a decode thread."""
    structlog.contextvars.bind_contextvars(**values)


def drop_rays_marks(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: what Ray writes into every record for its own files (`_ray_timestamp_ns`) is not told."""
    return {key: value for key, value in event.items() if not key.startswith("_ray")}


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: passwords in addresses masked in every text, values of secret keys masked whole."""
    for key, value in event.items():
        if not key.startswith("_"):
            event[key] = MASK if key.lower() in SECRET_KEYS else _masked(value)
    return event


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: MASK if str(key).lower() in SECRET_KEYS else _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    if isinstance(value, BaseException):
        return mask(f"{type(value).__name__}: {value}")
    return value


def _renderer(form: LogFormat, stream: TextIO) -> Processor:
    if form is LogFormat.JSON:
        return structlog.processors.JSONRenderer(sort_keys=True, default=lambda value: mask(repr(value)))
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)
