"""What a message's URI names, fetched within limits: only where the settings allow, so many bytes, so many seconds."""

from __future__ import annotations

import time
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from pipeline.ingest.address import SecretUrl, mask
from pipeline.ingest.kafka.message import MessageRefused, Refusal
from pipeline.ingest.kafka.message_settings import MessageSettings, scheme_of
from pipeline.sinks.storage_thread import StorageSlow, StorageThread

_CHUNK = 256 * 1024
_GRACE_S = 0.5  # a library that keeps its own time limit says more of what was wrong than ours can
_HTTP = ("http", "https")


class Fetcher:
    """Fetches one URI after another on a thread of its own, made when the first is asked for."""

    def __init__(self, settings: MessageSettings) -> None:
        self._settings = settings
        self._thread: StorageThread[bytes] | None = None

    def fetch(self, uri: str) -> bytes:
        """The bytes. Raises MessageRefused: forbidden_uri, too_large, or fetch_failed (retryable)."""
        scheme = self._allowed(uri)
        if self._thread is None:
            self._thread = StorageThread("rayline-fetch", self._settings.fetch_timeout_s + _GRACE_S, pause_s=0)
        try:
            return self._thread.call(lambda: self._read(uri, scheme))
        except MessageRefused:
            raise
        except StorageSlow:
            raise self._slow(uri) from None
        except Exception as exc:  # each storage library raises its own kinds
            why = str(exc) or type(exc).__name__
        raise _failed(uri, why)

    def close(self) -> None:
        """Ends the thread; what hangs is left to itself."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close(1.0)

    def _allowed(self, uri: str) -> str:
        scheme = scheme_of(uri)
        if scheme is None or scheme not in self._settings.uri_schemes:
            allowed = ", ".join(self._settings.uri_schemes) or "none"
            raise _forbidden(f"its scheme is not among uri_schemes ({allowed}): {_shown(uri)}")
        if scheme != "file" and self._settings.uri_hosts:
            host = _host(uri)
            if host not in self._settings.uri_hosts:
                raise _forbidden(f"its host is not among uri_hosts: {host!r}")
        return scheme

    def _read(self, uri: str, scheme: str) -> bytes:
        deadline = time.monotonic() + self._settings.fetch_timeout_s
        with self._open(uri, scheme) as file:
            _refuse_redirect(uri, file)
            return self._read_all(uri, file, deadline)

    def _read_all(self, uri: str, file: BinaryIO, deadline: float) -> bytes:
        most, got = self._settings.max_message_bytes, bytearray()
        while chunk := file.read(_CHUNK):
            got += chunk
            if len(got) > most:
                raise MessageRefused(Refusal.TOO_LARGE, f"more than {most} bytes: {_shown(uri)}")
            if time.monotonic() > deadline:
                raise self._slow(uri)
        return bytes(got)

    def _open(self, uri: str, scheme: str) -> BinaryIO:
        if scheme == "file":
            return self._open_file(uri)
        import fsspec

        options: dict[str, Any] = dict(self._settings.storage_options.get(scheme, {}))
        how: dict[str, Any] = {}
        if scheme in _HTTP:
            import aiohttp

            limit = aiohttp.ClientTimeout(total=self._settings.fetch_timeout_s)
            options["client_kwargs"] = {**options.get("client_kwargs", {}), "timeout": limit}
            # One streamed GET: no HEAD before it, and no way round uri_schemes and uri_hosts by a redirect.
            how = {"block_size": 0, "size": 1, "allow_redirects": False}
        files = fsspec.filesystem(scheme, **options)
        opened: BinaryIO = files.open(uri, "rb", **how)
        return opened

    def _open_file(self, uri: str) -> BinaryIO:
        root = self._settings.uri_root
        if root is None:
            raise _forbidden("file: needs uri_root")
        path = (root / unquote(uri.partition("://")[2]).removeprefix("localhost")).resolve()
        if not path.is_relative_to(root.resolve()):
            raise _forbidden(f"it leads out of uri_root: {_shown(uri)}")
        if not path.is_file():
            raise _failed(uri, "no such file")
        return path.open("rb")

    def _slow(self, uri: str) -> MessageRefused:
        return _failed(uri, f"no answer within {self._settings.fetch_timeout_s:g} s")


def _host(uri: str) -> str | None:
    try:
        return urlsplit(uri).hostname
    except ValueError:
        raise _forbidden("it names no host that can be read") from None


def _refuse_redirect(uri: str, file: Any) -> None:
    status = getattr(getattr(file, "r", None), "status", 0)
    if 300 <= status < 400:
        raise _failed(uri, f"the server answered {status}; redirects are not followed")


def _forbidden(why: str) -> MessageRefused:
    return MessageRefused(Refusal.FORBIDDEN_URI, f"the URI is not fetched: {why}")


def _failed(uri: str, why: str) -> MessageRefused:
    why = mask(why, SecretUrl(uri).secrets())  # libraries tell the address, or a part of it
    return MessageRefused(Refusal.FETCH_FAILED, f"{_shown(uri)} cannot be fetched: {why[:300]}", retryable=True)


def _shown(uri: str) -> str:
    return mask(str(SecretUrl(uri)))[:200]
