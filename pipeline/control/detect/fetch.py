"""Images fetched by URL on a stranger's word: only where it is allowed, so many bytes, so many seconds."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.control.detect.addresses import Address, Reachable
from pipeline.control.detect.refusals import ImageFailed
from pipeline.control.detect.settings import DetectLimits, Fetching
from pipeline.ingest.still_image import image_format

MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 64 * 1024
_TELLS_FORMAT = 12  # bytes
_DNS_THREADS = 4
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")  # others need their xn-- form
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without blanks, control characters and the backslash
_LOGIN = re.compile(r"[^/?#]*//[^/?#]*@")  # an empty one too, which yarl drops
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "rayline"}

# One text for a name that is not there and one that leads inside: which names there are is nobody's business.
_NOT_REACHABLE = (
    "the URL is not fetched: its host must have a public address, or be among api.detect.allowed_hosts or "
    "allowed_networks"
)
# One text for refused, reset, silent and not HTTP: which ports are open is nobody's business.
_NO_ANSWER = "the URL could not be fetched: its server did not send an image in time"

Resolve = Callable[[str, int], Awaitable[list[str]]]  # host, port -> its addresses


class ImageFetcher:
    """Fetches images; a name is resolved once for each hop, and only what was checked is connected to."""

    def __init__(self, limits: DetectLimits, resolve: Resolve | None = None) -> None:
        self._limits = limits
        self._reachable = Reachable(limits)
        # Of its own: names that nobody answers for must not take the threads that others need.
        self._dns = ThreadPoolExecutor(_DNS_THREADS, "rayline-dns")
        self._resolve = resolve or self._system_resolve
        self._at_once = asyncio.Semaphore(limits.max_fetches)

    async def fetch(self, text: str) -> bytes:
        """The bytes of the image. Raises ImageFailed in words that tell nothing of what is inside."""
        if self._limits.fetch is Fetching.OFF:
            raise ImageFailed("images are not fetched by URL here (api.detect.fetch is off): send the image itself")
        url = self._checked(text)
        async with self._at_once:
            try:
                async with asyncio.timeout(self._limits.fetch_timeout_s):
                    return await self._followed(url)
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError):  # ValueError: a URL that aiohttp refuses
                raise ImageFailed(_NO_ANSWER) from None

    def close(self) -> None:
        """Waits for nothing: a name that is being resolved is left to itself."""
        self._dns.shutdown(wait=False, cancel_futures=True)

    async def _followed(self, url: URL) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            found = await self._got(url)
            if isinstance(found, bytes):
                return found
            url = self._checked(str(_joined(url, found)))
        raise ImageFailed(f"the URL is not fetched: more than {MOST_REDIRECTS} redirects")

    async def _got(self, url: URL) -> bytes | str:
        """The image, or where a redirect leads."""
        host, port = str(url.raw_host), int(url.port or 0)
        addresses = self._reachable.among(await self._addresses(host, port), host)
        if not addresses:
            raise ImageFailed(_NOT_REACHABLE)
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses),
            socket_factory=_only(addresses),
            use_dns_cache=False,
            force_close=True,
            limit=1,
        )
        timeout = aiohttp.ClientTimeout(total=None)  # ours covers all hops together
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                headers=_HEADERS,
                auto_decompress=False,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status in _REDIRECTS:
                return answer.headers.get("Location", "")
            if answer.status != 200:
                raise ImageFailed(f"the URL could not be fetched: its server answered {answer.status}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise ImageFailed("the URL could not be fetched: its server compresses what it sends")
            return await self._body(answer)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError):  # UnicodeError: labels that are too long
            raise ImageFailed(_NOT_REACHABLE) from None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        most, got = self._limits.max_image_bytes, bytearray()
        if (answer.content_length or 0) > most:
            raise _too_long(most)
        async for chunk in answer.content.iter_chunked(_CHUNK):
            looked_at = len(got) >= _TELLS_FORMAT
            got += chunk
            if not looked_at and len(got) >= _TELLS_FORMAT and image_format(bytes(got[:_TELLS_FORMAT])) is None:
                raise ImageFailed("what the URL names is no JPEG, PNG or WebP")
            if len(got) > most:
                raise _too_long(most)
        return bytes(got)

    async def _system_resolve(self, host: str, port: int) -> list[str]:
        def look_up() -> list[str]:
            return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        return await asyncio.get_running_loop().run_in_executor(self._dns, look_up)

    def _checked(self, text: str) -> URL:
        """The URL, if it is one that may be asked for before anybody is. Raises ImageFailed."""
        if len(text) > self._limits.max_url_length:
            raise ImageFailed(f"the URL is not fetched: longer than {self._limits.max_url_length} characters")
        if not _PRINTABLE.fullmatch(text):
            raise ImageFailed("the URL is not fetched: it must be of printable ASCII characters, others as %XX")
        try:
            url = URL(text)
            port = url.port
        except ValueError:
            raise ImageFailed("the URL is not fetched: it cannot be read") from None
        if url.scheme not in ("http", "https"):
            raise ImageFailed("the URL is not fetched: only http and https are")
        if _LOGIN.match(text):
            raise ImageFailed("the URL is not fetched: it must hold no user and no password")
        if not _names_a_host(url.raw_host):
            raise ImageFailed("the URL is not fetched: it names no host that can be read")
        if port not in self._limits.fetch_ports:
            allowed = ", ".join(map(str, self._limits.fetch_ports))
            raise ImageFailed(f"the URL is not fetched: its port must be one of {allowed}")
        return url.with_fragment(None)


class _Pinned(AbstractResolver):
    """Answers with what was checked, whatever the name's owner has changed since."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _only(addresses: list[Address]) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Makes sockets for these addresses alone: aiohttp asks no resolver where the host is an address already."""
    checked = frozenset(addresses)

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, where = info
        if ipaddress.ip_address(where[0]) not in checked:
            raise OSError("an address that was not checked")
        return socket.socket(family, kind, proto)

    return make


def _names_a_host(host: str | None) -> bool:
    """True for a name or an address in plain letters; what they stand for is found out by resolving."""
    if not host:
        return False
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    try:
        return "%" not in host and ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _joined(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location))
    except ValueError:
        raise ImageFailed("the URL is not fetched: it leads to one that cannot be read") from None


def _too_long(most: int) -> ImageFailed:
    return ImageFailed(f"what the URL names is longer than {most} bytes", 413)
