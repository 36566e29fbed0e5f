"""Redis over TLS, by a user who may do no more than docs/security.md gives it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.client import consume
from pipeline.config import config_of_data
from pipeline.config_paths import anchored
from pipeline.observe.metrics import Metrics
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import StateStore, SystemReport
from pipeline.relays.relay import Relay
from pipeline.relays.settings import JsonLinesRelaySettings
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.reader_floors import ReaderFloors
from pipeline.sinks.redis_client import RedisLink, RedisSettings, connect
from pipeline.sinks.redis_streams import RedisStreams
from tests.fakes import RecordingMeter
from tests.redis_server import DEBIAN, RedisServer, free_port, redis_server
from tests.services.redis.writes import live, message, write

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
SECRET = "pa55-w0rd"
USER, LINE = "line-3", "l1"


def acl_rule() -> list[str]:
    """As the page has it, behind the user's name and password."""
    (rule,) = re.findall(r"^ACL SETUSER rayline on '>\S+' (.*)$", PAGE.read_text(), re.MULTILINE)
    return re.sub(r"\s+", " ", rule).replace("'", "").split()


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self.cert, self._key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", *_EC, "-days", "2", "-subj", f"/CN={name}", *self._out(name))

    def sign(self, name: str, days: int = 2, host: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """A certificate and its key."""
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={host}")
        key, cert = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        self._openssl("req", "-new", "-newkey", *_EC, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        by = ["-CA", str(self.cert), "-CAkey", str(self._key), "-CAcreateserial", "-extfile", str(extensions)]
        self._openssl("x509", "-req", "-in", str(request), *by, "-days", str(days), "-out", str(cert))
        return cert, key

    def _out(self, name: str) -> list[str]:
        return ["-keyout", str(self._key), "-out", str(self.cert)]

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


_EC = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "plant")


class TlsRedis:
    """A server with TLS, where the user of the page exists."""

    def __init__(self, server: RedisServer, port: int, ca_file: Path) -> None:
        self.plain, self.port, self.ca_file = server, port, ca_file

    def url(self, query: str = "", password: str = SECRET) -> str:
        return f"rediss://{USER}:{password}@127.0.0.1:{self.port}/0{query}"

    @property
    def plain_url(self) -> str:
        """Of whoever needs no login."""
        return f"rediss://127.0.0.1:{self.port}/0"

    def settings(self, password: str = SECRET, **tls: object) -> RedisSettings:
        files = {"ca_file": self.ca_file, **tls}
        return RedisSettings.model_validate({"url": self.url(password=password), "tls": files, "retries": 0})


def _tls_redis(folder: Path, authority: Authority, cert: tuple[Path, Path], clients: str = "no") -> Iterator[TlsRedis]:
    assert DEBIAN is not None
    port = free_port()
    files = {"tls_cert_file": str(cert[0]), "tls_key_file": str(cert[1]), "tls_ca_cert_file": str(authority.cert)}
    with redis_server(folder, "7.0", tls_port=str(port), tls_auth_clients=clients, **files) as server:
        yield TlsRedis(server, port, authority.cert)


@pytest.fixture(scope="module")
def running(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    yield from _tls_redis(tmp_path_factory.mktemp("redis"), authority, authority.sign("server"))


@pytest.fixture
async def tls_redis(running: TlsRedis) -> AsyncIterator[TlsRedis]:
    admin = Redis.from_url(running.plain.url)
    await admin.flushall()
    await admin.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{SECRET}", *acl_rule())
    await admin.execute_command("ACL", "LOG", "RESET")
    yield running
    refused = await admin.execute_command("ACL", "LOG")
    await admin.aclose()
    assert [entry for entry in refused if b"auth" not in entry.values()] == []


def _config(url: str) -> dict[str, object]:
    return {
        "redis": {"url": url},
        "models": {"m": {"weights": "builtin:bottles"}},
        "recipes": {"r": {"model": "m"}},
        "lines": {LINE: {"recipe": "r"}},
        "cameras": {"cam": {"url": "rtsp://127.0.0.1/a", "line": LINE}},
    }


def _jsonl(folder: Path) -> JsonLinesRelaySettings:
    return JsonLinesRelaySettings.model_validate({"kind": "jsonl", "folder": str(folder)})


async def test_all_that_rayline_does_the_user_of_the_page_may(tls_redis: TlsRedis, tmp_path: Path) -> None:
    """Results and their readers, a relay that holds streams, what is to run and what runs; ACL LOG stays empty."""
    settings = tls_redis.settings()
    async with RedisStreams(settings) as streams:
        await streams.write([write(LINE, None, live(1), events=["e1"], inspections=["i1"])], [b"a trace"])
        await streams.append("cam", LINE, [message("e2")], [message("i2")], (live(1), b"checkpoint"))
        assert (await streams.load("cam", LINE)).cursor == live(1)
    async with StreamReader(settings) as reader:
        assert [entry.message_id for entry in await reader.read(f"rayline:{{{LINE}}}:inspections")] == ["i1", "i2"]
        assert [seen.camera for seen in await reader.cameras()] == ["cam"]
    client = connect(settings)
    try:
        desired = DesiredStore(client)
        await desired.publish(config_of_data(_config(tls_redis.url())))
        await desired.set("cam", {"fps": 5})
        await desired.pause("cam")
        assert (await desired.read()).line_of("cam") == LINE
        await StateStore(client).write(SystemReport(at=1.0, started_at=0.0, run_id="r", desired_version=1))
        assert await StateStore(client).read() is not None
    finally:
        await client.aclose()
    relay = Relay("r", _jsonl(tmp_path), settings, [LINE], Metrics(RecordingMeter()))
    task = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(60):
            while sum(relay.status().relayed.values()) < 5:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    floors = ReaderFloors(settings)
    assert {one.line for one in await floors.registered()} == {LINE}
    await floors.replace_run(["rayline-relay-r"])
    await floors.close()


async def test_a_program_needs_an_address_alone(tls_redis: TlsRedis) -> None:
    """Its group is made, and what it cannot read put aside."""
    async with RedisStreams(tls_redis.settings()) as streams:
        await streams.write([write(LINE, None, live(1), inspections=["i1", "i2"])])
    address = tls_redis.url(f"?ssl_ca_certs={tls_redis.ca_file}")
    reading = asyncio.create_task(consume("inspections", group="erp", handler=print, url=address))
    client = connect(tls_redis.settings())
    try:
        async with asyncio.timeout(60):
            while await client.xlen(f"rayline:{{{LINE}}}:dead:erp") < 2:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.05)
    finally:
        await client.aclose()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.parametrize("command", [["status", "--once"], ["cameras", "list"], ["doctor"]])
async def test_a_command_needs_an_address_alone(tls_redis: TlsRedis, command: list[str]) -> None:
    client = connect(tls_redis.settings())
    await DesiredStore(client).publish(config_of_data(_config(tls_redis.url())))
    await StateStore(client).write(SystemReport(at=time.time(), started_at=0.0, run_id="r", desired_version=1))
    await client.aclose()
    address = tls_redis.url(f"?ssl_ca_certs={tls_redis.ca_file}")
    said = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--redis", address])
    assert "certificate" not in said.output
    assert SECRET not in said.output
    assert said.exit_code == 0 or command == ["doctor"], said.output


async def test_the_address_that_is_left_for_commands_holds_the_certificates(tls_redis: TlsRedis) -> None:
    whole = tls_redis.settings().whole_url
    client = connect(RedisSettings(url=whole))
    assert await client.ping()
    await client.aclose()


async def test_the_user_may_nothing_else(tls_redis: TlsRedis) -> None:
    client = connect(tls_redis.settings())
    for command in (
        ["FLUSHALL"],
        ["CONFIG", "GET", "*"],
        ["GET", "other"],
        ["KEYS", "*"],
        ["ACL", "LIST"],
        ["CLIENT", "KILL", "TYPE", "normal"],
        ["SHUTDOWN"],
        ["SCRIPT", "FLUSH"],
        ["PUBLISH", "rayline:x", "y"],
        ["EVAL", "return redis.call('GET', 'other')", "0"],
    ):
        with pytest.raises((NoPermissionError, ResponseError), match=r"permission|ACL|can't access"):
            await client.execute_command(*command)
    await client.aclose()
    admin = Redis.from_url(tls_redis.plain.url)
    await admin.execute_command("ACL", "LOG", "RESET")
    await admin.aclose()


async def _why(settings: RedisSettings) -> SinkUnavailable:
    link = RedisLink(settings)
    try:
        with pytest.raises(SinkUnavailable) as failed:
            async with link.use() as client:
                await client.ping()
    finally:
        await link.close()
    told = str(failed.value)
    assert "\n" not in told
    assert SECRET not in told + repr(settings)
    assert settings.address in told
    return failed.value


async def test_what_is_wrong_is_one_sentence(tls_redis: TlsRedis, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    wrong_ca = await _why(tls_redis.settings(ca_file=other.cert))
    assert "its certificate is not trusted" in str(wrong_ca)
    assert "see redis.tls" in str(wrong_ca)
    assert type(wrong_ca) is SinkUnavailable, "a renewed certificate of the server's heals it"
    nowhere = await _why(tls_redis.settings(ca_file=tmp_path / "none.pem"))
    assert f"ca_file {tmp_path}/none.pem cannot be read" in str(nowhere)
    (tmp_path / "junk.pem").write_text("junk")
    assert "no TLS with it" in str(await _why(tls_redis.settings(ca_file=tmp_path / "junk.pem")))
    wrong_password = await _why(tls_redis.settings(password="wr0ng"))
    assert isinstance(wrong_password, SinkRefused)
    assert "wr0ng" not in str(wrong_password)
    in_clear = RedisSettings.model_validate({"url": tls_redis.url().replace("rediss", "redis"), "retries": 0})
    await _why(in_clear)


@pytest.mark.parametrize(
    ("days", "host", "why"),
    [
        pytest.param(-1, "IP:127.0.0.1", "expired", id="expired"),
        pytest.param(2, "DNS:redis.example", "match", id="of another"),
    ],
)
async def test_a_servers_bad_certificate_is_told(
    authority: Authority, tmp_path: Path, days: int, host: str, why: str
) -> None:
    cert = authority.sign(f"bad{days}", days, host)
    for bad in _tls_redis(tmp_path, authority, cert):
        told = await _why(
            RedisSettings.model_validate({"url": bad.plain_url, "tls": {"ca_file": authority.cert}, "retries": 0})
        )
        assert why in str(told)
        if days > 0:  # whoever switches the name off has said by whom it must be signed
            settings = {"url": bad.plain_url, "tls": {"ca_file": authority.cert, "check_hostname": False}}
            client = connect(RedisSettings.model_validate(settings))
            assert await client.ping()
            await client.aclose()


async def test_a_server_that_asks_who_we_are_is_told(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.sign("rayline")
    for strict in _tls_redis(tmp_path, authority, authority.sign("strict"), clients="yes"):
        tls = {"ca_file": authority.cert, "cert_file": cert, "key_file": key}
        client = connect(RedisSettings.model_validate({"url": strict.plain_url, "tls": tls}))
        assert await client.ping()
        await client.aclose()
        await _why(
            RedisSettings.model_validate({"url": strict.plain_url, "tls": {"ca_file": authority.cert}, "retries": 0})
        )


@pytest.mark.parametrize("url", ["rediss://127.0.0.1:1/0?ssl_cert_reqs=none", "redis://127.0.0.1:1/0?ssl_ca_certs=a"])
def test_an_address_may_not_switch_the_check_off(url: str) -> None:
    with pytest.raises(ValidationError, match="behind its"):
        RedisSettings(url=url)  # type: ignore[arg-type]


def test_certificates_in_the_settings_bring_the_check_of_the_name_back() -> None:
    settings = RedisSettings.model_validate(
        {"url": "rediss://h/0?ssl_check_hostname=false&ssl_ca_certs=a", "tls": {"ca_file": "a"}}
    )
    assert "ssl_check_hostname=true" in settings.whole_url.get_secret_value()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "rediss://h/0?ssl_check_hostname=false"}, "ca_file"),
        ({"url": "rediss://h/0?ssl_check_hostname=no&ssl_certfile=a"}, "ca_file"),
        ({"url": "rediss://h/0?ssl_check_hostname=perhaps&ssl_ca_certs=a"}, "check_hostname"),
        ({"url": "rediss://h/0?ssl_keyfile=a"}, "cert_file"),
        ({"url": "redis://h/0", "tls": {"ca_file": "a"}}, "rediss://"),
        ({"url": "embedded", "tls": {}}, "rediss://"),
        ({"url": "rediss://h/0", "tls": {"key_file": "a"}}, "cert_file"),
        ({"url": "rediss://h/0", "tls": {"check_hostname": False}}, "ca_file"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        RedisSettings.model_validate(settings)


def test_certificates_lie_beside_the_config_file(tmp_path: Path) -> None:
    config = _config("rediss://h/0") | {"redis": {"url": "rediss://h/0", "tls": {"ca_file": "ca.pem"}}}
    found = anchored(config, tmp_path)
    assert found["redis"]["tls"]["ca_file"] == str(tmp_path / "ca.pem")
