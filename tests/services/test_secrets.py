"""Known secrets are pushed through everything that speaks; none of what it says holds one.

Whatever is new and speaks belongs in here.
"""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import structlog
import yaml
from typer.testing import CliRunner
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from pipeline.cli import app
from pipeline.config import RaylineConfig, config_of_data, load_config
from pipeline.config_errors import ConfigError
from pipeline.control.access.api_keys import ApiKey
from pipeline.control.access.authenticator import authenticator_for
from pipeline.control.access.roles import Role
from pipeline.control.access.rules import RULES, WEBSOCKET
from pipeline.control.access.token_settings import OwnTokenSettings
from pipeline.control.access.tokens import sign
from pipeline.control.live import pictures
from pipeline.control.services import Services
from pipeline.control.settings import ApiSettings
from pipeline.ingest.camera import make_source
from pipeline.ingest.source import SourceError
from pipeline.instance import Instance
from pipeline.kafka_settings import KafkaConnection
from pipeline.observe.logs import set_up_logs
from pipeline.observe.settings import LogFormat, LogLevel, LogSettings
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_client import RedisLink, RedisSettings, connect
from pipeline.sinks.redis_pool import RedisPool
from tests.api_client import OneBoxDetector, api_client
from tests.api_paths import filled
from tests.api_server import api_server
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.services

QUIET = logging.getLogger("tests.nobody")  # the test's own client, which may say what it likes
QUIET.setLevel(logging.CRITICAL + 1)
CAMERA, REDIS, KAFKA = "cam3ra/p@ss#1", "r3dis-pa55", "k4fka-pa55"
KEY, TOKEN = "rk_live_51H8xQ2eZvKYlo2C", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJlcnAifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r"
SIGNING, API_KEY = "hs256-" + "5ecret" * 8, ApiKey.new()
OWN = OwnTokenSettings.model_validate({"secret": SIGNING})
SIGNED = sign(OWN, "night-shift", Role.ADMIN, ("*",), 3600)
SECRETS = (
    *(CAMERA, quote(CAMERA, safe=""), REDIS, KAFKA, KEY, TOKEN, TOKEN.rpartition(".")[2], SIGNING),
    *(API_KEY.text, API_KEY.text.rpartition("_")[2], SIGNED, SIGNED.rpartition(".")[2]),
)
CAMERA_URL = f"rtsp://viewer:{quote(CAMERA, safe='')}@127.0.0.1:1/stream"


def config(redis_url: str, **changes: object) -> dict[str, object]:
    """Holds one of each."""
    return {
        "redis": {"url": redis_url},
        "models": {"m": {"weights": "builtin:bottles"}},
        "recipes": {"r": {"model": "m"}},
        "cameras": {"gate": {"url": CAMERA_URL, "recipe": "r"}},
        "relays": {
            "erp": {
                "kind": "kafka",
                "brokers": ["127.0.0.1:1"],
                "security_protocol": "SASL_PLAINTEXT",
                "username": "line",
                "password": KAFKA,
            }
        },
        **changes,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), password=REDIS) as running:
        yield running


class Heard:
    """Everything that was said: the log as people and programs get it, and what was asked for."""

    def __init__(self) -> None:
        self.log = io.StringIO()
        self.said: list[str] = []

    def __call__(self, *said: object) -> None:
        for one in said:
            self.said += [str(one), repr(one)]

    def leaks(self) -> list[str]:
        text = "\n".join([self.log.getvalue(), *self.said])
        return [
            f"{secret}: ...{text[max(0, text.index(secret) - 200) :][:300]}" for secret in SECRETS if secret in text
        ]


@pytest.fixture(params=list(LogFormat))
def heard(request: pytest.FixtureRequest) -> Iterator[Heard]:
    """With the log as a process of Rayline's has it, at its most talkative."""
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    heard = Heard()
    set_up_logs(LogSettings(log=request.param, level=LogLevel.DEBUG), heard.log)
    yield heard
    logging.getLogger().handlers[:] = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()
    assert heard.leaks() == []


def good(server: RedisServer) -> RaylineConfig:
    return config_of_data(config(server.url))


def test_what_is_made_of_a_config_tells_none(server: RedisServer, heard: Heard) -> None:
    loaded = good(server)
    heard(loaded, loaded.redis, loaded.redis_settings(), loaded.cameras, loaded.resolved(), loaded.relays)
    heard(loaded.model_dump_json(), loaded.model_dump(), loaded.camera("gate").settings.url)
    heard(Instance(server.url, 1, 0.0), KafkaConnection.model_validate(_kafka()), RedisPool(loaded.redis_settings()))
    heard(services(loaded), ApiSettings().for_proxies)
    logging.getLogger("test").warning("%s %r %s", loaded, loaded.redis_settings(), server.url)


def _kafka() -> dict[str, object]:
    login = {"security_protocol": "SASL_PLAINTEXT", "username": "line", "password": KAFKA}
    return {"brokers": ["127.0.0.1:1"], "request_timeout_s": 0.5, **login}


def services(loaded: RaylineConfig) -> Services:
    return Services(
        settings=ApiSettings(),
        redis=RedisPool(loaded.redis_settings()),
        detector=OneBoxDetector(),
        models=loaded.models_in_use(),
        authenticator=None,  # type: ignore[arg-type]
    )


BROKEN = [
    pytest.param({"redis": {"url": f"redis://:{REDIS}@host:port/0"}}, id="a port that is none"),
    pytest.param({"redis": {"url": f"redis://:{REDIS}@h/0", "tls": {}}}, id="certificates without TLS"),
    pytest.param({"redis": {"url": f"rediss://:{REDIS}@h/0?what=1"}}, id="an address with more behind it"),
    pytest.param({"redis": {"password": REDIS}}, id="a password in a place of its own"),
    pytest.param({"redis": f"redis://:{REDIS}@h/0"}, id="an address where a section should be"),
    pytest.param({"cameras": {"gate": {"url": CAMERA_URL, "recipe": "nowhere"}}}, id="a camera without a recipe"),
    pytest.param({"cameras": {"gate": {"url": CAMERA_URL, "recipe": "r", "fps": -1}}}, id="a camera's wrong number"),
    pytest.param({"cameras": {"gate": {"url": f"gopher://a:{quote(CAMERA, safe='')}@h/"}}}, id="a scheme nobody knows"),
    pytest.param({"cameras": {"gate": CAMERA_URL}}, id="a camera that is its address"),
    pytest.param({"relays": {"erp": {**_kafka(), "kind": "kafka", "topics": 3}}}, id="a relay's wrong setting"),
    pytest.param({"relays": {"erp": {**_kafka(), "kind": "kafka", "security_protocol": "SSL"}}}, id="a useless login"),
]


@pytest.mark.parametrize("changes", BROKEN)
def test_what_is_wrong_in_a_config_is_told_without_it(changes: dict[str, object], heard: Heard, tmp_path: Path) -> None:
    data = config(f"redis://:{REDIS}@127.0.0.1:1/0", **changes)
    with pytest.raises(ConfigError) as failed:
        config_of_data(data)
    heard(failed.value, failed.value.problems)
    try:
        config_of_data(data)
    except ConfigError:
        logging.getLogger("test").exception("it does not fit")
    file = tmp_path / "line.yaml"
    file.write_text(yaml.safe_dump(data))
    for command in (["check", str(file)], ["check", str(file), "--json"], ["up", str(file)]):
        answer = CliRunner().invoke(app, command)
        heard(answer.output, "".join(traceback.format_exception(answer.exception)) if answer.exception else "")


def test_a_file_that_is_no_yaml_is_told_without_it(heard: Heard, tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    for text in (f"redis: {{url: 'redis://:{REDIS}@h/0'", f"cameras:\n  gate:\n\turl: {CAMERA_URL}\n"):
        file.write_text(text)
        try:
            load_config(file)
        except ConfigError as exc:
            heard(exc)
            logging.getLogger("test").exception("it is no config")
        heard(CliRunner().invoke(app, ["check", str(file)]).output)


async def _wrong_redis(server: RedisServer, heard: Heard) -> None:
    for url in (f"redis://:{REDIS}x@127.0.0.1:{server.port}/0", f"redis://:{REDIS}@127.0.0.1:1/0"):
        link = RedisLink(RedisSettings.model_validate({"url": url, "retries": 0}))
        try:
            async with link.use() as client:
                await client.ping()
        except SinkUnavailable as exc:
            heard(exc)
            logging.getLogger("test").warning("redis", exc_info=True)
        await link.close()


async def _wrong_camera(server: RedisServer, heard: Heard) -> None:
    def opened() -> None:
        settings = good(server).camera("gate").settings
        source = make_source(settings)
        try:
            source.open()
        except SourceError as exc:
            heard(exc, source)
            logging.getLogger("test").warning("camera", exc_info=True)
        finally:
            source.close()

    await asyncio.to_thread(opened)


@pytest.mark.parametrize("trouble", [_wrong_redis, _wrong_camera])
async def test_trouble_is_told_without_it(
    trouble: Callable[[RedisServer, Heard], Awaitable[None]], server: RedisServer, heard: Heard
) -> None:
    await trouble(server, heard)
    assert heard.said, "it was no trouble"


@pytest.fixture
async def published(server: RedisServer) -> RaylineConfig:
    loaded = good(server)
    client = connect(loaded.redis_settings())
    await client.flushall()
    await DesiredStore(client).publish(loaded)
    await client.aclose()
    return loaded


def _asked() -> list[tuple[str, str, dict[str, str], str]]:
    """(method, path, headers, body)."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    key = {"Authorization": f"Bearer {KEY}"}
    camera = f'{{"name": "b", "url": "{CAMERA_URL}", "fps": 0, "password": "{KEY}", "passwrd": "{TOKEN}"}}'
    return [
        ("GET", "/openapi.json", bearer, ""),
        ("GET", "/v1/cameras", key, ""),
        ("GET", "/v1/cameras/gate", {}, ""),
        ("GET", f"/v1/nothing?token={KEY}", bearer, ""),
        ("POST", "/v1/cameras", key, camera),
        ("PATCH", "/v1/cameras/gate", bearer, camera),
        ("POST", "/v1/cameras", key, camera[:-1]),
        ("POST", "/v1/detect", key, TOKEN),
        ("PUT", "/v1/lines/gate/recipe", bearer, f'{{"recipe": "{KEY}"}}'),
        ("GET", "/v1/lines", bearer, ""),
        ("GET", "/v1/models", bearer, ""),
        ("GET", "/v1/audit", bearer, ""),
    ]


@pytest.mark.parametrize("client", [("127.0.0.1", 5000), ("192.0.2.7", 5000)], ids=["let in", "a stranger"])
async def test_answers_hold_none(published: RaylineConfig, heard: Heard, client: tuple[str, int]) -> None:
    async with api_client(published.redis_settings(), client=client) as asks:
        for method, path, headers, body in _asked():
            sent = {"Content-Type": "application/json", **headers}
            answer = await asks.request(method, path, headers=sent, content=body)
            heard(answer.status_code, answer.text, dict(answer.headers))
    broken = RedisSettings.model_validate({"url": f"redis://:{REDIS}@127.0.0.1:1/0", "retries": 0})
    async with api_client(broken) as asks:
        heard((await asks.get("/readyz")).text)


ASKERS = {
    "a key": {"Authorization": f"Bearer {API_KEY.text}"},
    "a token": {"X-API-Key": SIGNED},
    "a key of elsewhere": {"X-API-Key": KEY},
    "a token that is cut off": {"Authorization": f"Bearer {SIGNED[:-1]}"},
    "both": {"Authorization": f"Bearer {SIGNED}", "X-API-Key": API_KEY.text},
    "none": {"Authorization": f"Basic {API_KEY.text}", "Cookie": f"token={SIGNED}"},
}
BODIES: dict[str, list[object]] = {
    "POST /v1/detect": [{"image_url": CAMERA_URL}, {"image_base64": TOKEN}, {"passwrd": TOKEN}],
    "PATCH /v1/models/m": [{"iou": 0.4}, {"iou": KEY}],
    "POST /v1/cameras": [
        {"name": "door", "url": f"{CAMERA_URL}/2", "recipe": "r"},
        {"name": "No Name", "url": CAMERA_URL},
    ],
    "PATCH /v1/cameras/gate": [{"url": f"{CAMERA_URL}/3"}, {"url": KAFKA}, {"options": {"headers": TOKEN}}],
    "PUT /v1/lines/gate/recipe": [{"recipe": "r"}, {"recipe": KEY}],
}
STRICT = {
    "auth": {"keys": [{"name": "root", "sha256": API_KEY.sha256, "role": "admin"}], "own": {"secret": SIGNING}},
    "rate_limits": {"failed": "1000/second"},
    "stream_max_s": 1,
}
NAMES = {"camera": "gate", "line": "gate", "model": "m", "topic": "events", "inspection_id": "gate/1/1"}


@pytest.mark.parametrize("is_there", [True, False], ids=["Redis is there", "Redis refuses"])
async def test_every_route_keeps_its_callers_secrets(
    published: RaylineConfig, server: RedisServer, heard: Heard, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FIRST_WITHIN_S", 0.05)
    settings = ApiSettings.model_validate(STRICT)
    url = server.url if is_there else server.url.replace(REDIS, f"{REDIS}x")
    redis = RedisSettings.model_validate({"url": url, "retries": 0})
    pool = RedisPool(redis)
    authenticator = authenticator_for(settings, pool)
    heard(settings, settings.model_dump_json(), settings.for_proxies, authenticator, vars(authenticator), pool)
    loaded = published if is_there else None
    async with api_client(redis, loaded, settings=settings, authenticator=authenticator) as asks:
        for asker, headers in ASKERS.items():
            for (method, path), rule in RULES.items():
                if method != WEBSOCKET and not (rule.streams and asker == "a token"):  # one such second is enough
                    await _ask(asks, heard, method, filled(path, **NAMES), headers)
        statuses = {one for one in heard.said if one.isdigit()}
    assert statuses >= ({"200", "201", "204", "400", "401", "404", "422", "503"} if is_there else {"401", "503"})
    await pool.close()


async def _ask(asks: httpx.AsyncClient, heard: Heard, method: str, path: str, headers: dict[str, str]) -> None:
    for body in BODIES.get(f"{method} {path}", [None]):
        answer = await asks.request(method, path, headers={"If-Match": "*", **headers}, json=body)
        heard(answer.status_code, answer.text, dict(answer.headers))


@pytest.mark.parametrize("token", [API_KEY.text, SIGNED, KEY], ids=["an API key", "a signed token", "a stranger's key"])
async def test_a_sockets_token_is_not_repeated(
    published: RaylineConfig, server: RedisServer, heard: Heard, token: str
) -> None:
    redis = RedisSettings.model_validate({"url": server.url})
    settings = ApiSettings.model_validate(STRICT)
    pool = RedisPool(redis)
    made = api_server(redis, published, settings=settings, authenticator=authenticator_for(settings, pool))
    async with made as api:
        try:
            offered = [Subprotocol("rayline.bearer"), Subprotocol(token)]
            async with connect_socket(f"{api.ws}/v1/cameras/gate/live", subprotocols=offered, logger=QUIET) as socket:
                heard(await socket.recv(), socket.subprotocol)
        except InvalidStatus as refused:
            heard(refused.response.body, refused.response.headers)
    await pool.close()


@pytest.mark.parametrize("command", [["status", "--once"], ["status", "--json"], ["cameras", "list"], ["doctor"]])
async def test_commands_tell_none(
    published: RaylineConfig, heard: Heard, server: RedisServer, command: list[str]
) -> None:
    for url in (server.url, server.url.replace(REDIS, f"{REDIS}x"), f"redis://:{REDIS}@127.0.0.1:1/0"):
        answer = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--redis", url])
        heard(answer.output)
        assert "Usage" not in answer.output


def test_a_scan_finds_what_is_there(server: RedisServer) -> None:
    """A test that looks at nothing would pass everything."""
    heard = Heard()
    heard(server.url)
    assert len(heard.leaks()) == 1
