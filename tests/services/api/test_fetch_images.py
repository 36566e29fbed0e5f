"""Images fetched on a stranger's word, from real servers on this machine: what leads inside is refused unconnected."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pipeline.control.detect.fetch import ImageFetcher
from pipeline.control.detect.refusals import ImageFailed
from pipeline.control.detect.settings import DetectLimits
from tests.messages import blocks, encoded
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

IMAGE = encoded(blocks())
LOOPBACK = ("127.0.0.0/8",)


class Site:
    """A server on loopback: answers `pages`, and remembers what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.every_s = 0.0  # between two bytes of an answer, where not 0
        self.connections = 0
        self.port = 0

    def url(self, path: str = "/image", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            answer = self.pages.get(head.split()[1], b"HTTP/1.1 404 Not Found\r\n\r\n")
            for piece in (answer[i : i + 1] for i in range(len(answer))) if self.every_s else (answer,):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.every_s)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def page(body: bytes = IMAGE, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    head = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else []), "Connection: close"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def moved(to: str, status: str = "302 Found") -> bytes:
    return page(b"", f"Location: {to}", status=status)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.pages["/image"] = page()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


@asynccontextmanager
async def fetcher(
    site: Site, networks: tuple[str, ...] = (), resolve: Callable[[str], list[str]] | None = None, **limits: object
) -> AsyncIterator[ImageFetcher]:
    settings = DetectLimits.model_validate(
        {"fetch_ports": [site.port, 80], "allowed_networks": networks, "fetch_timeout_s": 60.0} | limits
    )

    async def resolved(host: str, port: int) -> list[str]:
        assert resolve is not None
        return resolve(host)

    made = ImageFetcher(settings, resolved if resolve is not None else None)
    try:
        yield made
    finally:
        made.close()


async def refused(made: ImageFetcher, url: str) -> str:
    with pytest.raises(ImageFailed) as found:
        await made.fetch(url)
    return str(found.value)


async def test_an_allowed_image_is_fetched_without_cookies_proxies_or_compression(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with fetcher(site, LOOPBACK) as made:
        assert await made.fetch(site.url()) == IMAGE
    head = site.asked[0].lower()
    assert "accept-encoding: identity" in head
    assert "cookie" not in head
    assert "authorization" not in head


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",  # decimal
        "017700000001",  # octal
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "no-such-host.invalid",
    ],
)
async def test_what_leads_inside_is_refused_in_one_text_and_never_connected_to(site: Site, host: str) -> None:
    async with fetcher(site) as made:
        told = await refused(made, site.url(host=host))
        public_name = await refused(made, site.url(host="10.9.9.9"))
    assert told == public_name  # a name that is not there and one that is inside are told alike
    assert site.connections == 0


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("gopher://127.0.0.1:6379/_INFO", "only http and https"),
        ("ftp://127.0.0.1/image", "only http and https"),
        ("data:image/png;base64,AAAA", "only http and https"),
        ("unix:///run/redis.sock", "only http and https"),
        ("//127.0.0.1/image", "only http and https"),
        ("http://good@127.0.0.1/image", "no user and no password"),
        ("http://user:hunter2@127.0.0.1/image", "no user and no password"),
        ("http://1.1.1.1@127.0.0.1/image", "no user and no password"),
        ("http://@127.0.0.1/image", "no user and no password"),
        ("http://1.1.1.1\\@127.0.0.1/image", "printable ASCII"),
        ("http://127。0。0。1/image", "printable ASCII"),
        ("http://①②⑦.0.0.1/image", "printable ASCII"),
        ("http://127.0.0.1/\r\nHost: evil", "printable ASCII"),
        ("http://127%2e0.0.1/image", "names no host"),
        ("http://[fe80::1%25eth0]/image", "names no host"),
        ("http://[127.0.0.1]/image", "host|cannot be read"),
        ("http:///image", "names no host"),
        ("http://", "names no host|cannot be read"),
        ("http://1.1.1.1:22/", "its port must be one of"),
        ("http://1.1.1.1:6379/", "its port must be one of"),
        ("http://1.1.1.1:99999/", "cannot be read"),
        ("http://1.1.1.1:80:22/", "cannot be read"),
        ("http://1.1.1.1/" + "a" * 3000, "longer than 2048"),
    ],
)
async def test_urls_of_other_kinds_are_refused_before_anybody_is_asked(site: Site, url: str, told: str) -> None:
    def nobody(host: str) -> list[str]:
        raise AssertionError(f"{host} was resolved")

    async with fetcher(site, resolve=nobody) as made:
        found = await refused(made, url)
    assert any(text in found for text in told.split("|")), found
    assert "hunter2" not in found


async def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(site: Site) -> None:
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    # Nothing listens at 127.0.0.2, which stands for the public address; a second look would find the server.
    async with fetcher(site, ("127.0.0.2/32",), rebinding) as made:
        assert "could not be fetched" in await refused(made, site.url(host="rebinding.example"))
    assert asked == ["rebinding.example"]
    assert site.connections == 0


async def test_of_a_names_addresses_only_the_allowed_are_connected_to(site: Site) -> None:
    async with fetcher(site, ("127.0.0.1/32",), lambda _: ["127.0.0.2", "::1", "127.0.0.1"]) as made:
        assert await made.fetch(site.url(host="mixed.example")) == IMAGE


async def test_an_allowed_host_is_reached_by_its_name_alone(site: Site) -> None:
    async with fetcher(site, resolve=lambda _: ["127.0.0.1"], allowed_hosts=("nas.local",)) as made:
        assert await made.fetch(site.url(host="nas.local")) == IMAGE
        await refused(made, site.url(host="other.local"))
    assert site.connections == 1


async def test_redirects_are_followed_and_each_is_checked(site: Site) -> None:
    site.pages |= {
        "/near": moved("/image"),
        "/inside": moved(site.url(host="127.0.0.2")),
        "/other-name": moved(site.url(host="localhost")),
        "/file": moved("file:///etc/passwd"),
        "/login": moved(f"http://user:pw@127.0.0.1:{site.port}/image"),
        "/port": moved("http://127.0.0.1:22/"),
        "/nowhere": moved("http://[::bad"),
        "/loop": moved("/loop"),
        **{f"/hop{n}": moved(f"/hop{n + 1}" if n < 4 else "/image", "307 Temporary Redirect") for n in range(1, 5)},
    }
    async with fetcher(site, ("127.0.0.1/32",)) as made:
        assert await made.fetch(site.url("/near")) == IMAGE
        assert "public address" in await refused(made, site.url("/inside"))
        assert "only http and https" in await refused(made, site.url("/file"))
        assert "no user" in await refused(made, site.url("/login"))
        assert "port" in await refused(made, site.url("/port"))
        assert "cannot be read" in await refused(made, site.url("/nowhere"))
        before = site.connections
        assert "more than 3 redirects" in await refused(made, site.url("/loop"))
        assert site.connections - before == 4
        assert await made.fetch(site.url("/hop2")) == IMAGE
        assert "more than 3 redirects" in await refused(made, site.url("/hop1"))


async def test_a_redirect_from_an_allowed_host_inside_is_refused(site: Site) -> None:
    site.pages["/image"] = moved(site.url(host="127.0.0.1"))
    async with fetcher(
        site, resolve=lambda host: ["127.0.0.1"], allowed_hosts=("public.example",)
    ) as made:  # only its name lets the server stand for a public one
        assert "public address" in await refused(made, site.url(host="public.example"))
    assert site.connections == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(page(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "no JPEG", id="svg"),
        pytest.param(page(b"root:x:0:0:root:/root:/bin/sh\n"), "no JPEG", id="a text"),
        pytest.param(page(b"x" * 100, length=False), "no JPEG", id="of no length"),
        pytest.param(page(b"", status="403 Forbidden"), "answered 403", id="forbidden"),
        pytest.param(page(IMAGE, status="206 Partial Content"), "answered 206", id="a part"),
        pytest.param(page(IMAGE, "Content-Encoding: gzip"), "compresses", id="compressed"),
        pytest.param(page(IMAGE + bytes(40_000)), "longer than 30000", id="too long, as it says"),
        pytest.param(page(IMAGE + bytes(40_000), length=False), "longer than 30000", id="too long, unsaid"),
        pytest.param(page(IMAGE, "Content-Length: 99999"), "could not be fetched|longer", id="two lengths"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "could not be fetched", id="another protocol"),
        pytest.param(b"", "could not be fetched", id="nothing"),
        pytest.param(page()[:-100], "could not be fetched", id="cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, "could not be fetched", id="endless headers"),
    ],
)
async def test_what_is_no_plain_image_is_refused(site: Site, answer: bytes, told: str) -> None:
    site.pages["/image"] = answer
    async with fetcher(site, LOOPBACK, max_image_bytes=30_000) as made:
        found = await refused(made, site.url())
    assert any(text in found for text in told.split("|")), found


async def test_refused_closed_and_silent_are_told_alike_and_in_time(site: Site, stopwatch: Stopwatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        ports = {"silent": silent.getsockname()[1], "slow": site.port}
        with socket.create_server(("127.0.0.1", 0)) as gone:
            ports["refused"] = gone.getsockname()[1]
        site.every_s = 0.05
        limits = {"fetch_timeout_s": 0.4, "fetch_ports": tuple(ports.values())}
        async with fetcher(site, LOOPBACK, **limits) as made:
            stopwatch.restart()
            told = {await refused(made, f"http://127.0.0.1:{port}/image") for port in ports.values()}
    assert told == {"the URL could not be fetched: its server did not send an image in time"}
    assert stopwatch.seconds < 3


async def test_off_fetches_nothing(site: Site) -> None:
    async with fetcher(site, LOOPBACK, fetch="off") as made:
        assert "send the image itself" in await refused(made, site.url())
    assert site.connections == 0
