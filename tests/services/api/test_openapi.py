"""The API describes itself: every call in words, with what comes in and what goes out."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from pipeline.config import RaylineConfig
from pipeline.control.access.api_keys import ApiKey
from pipeline.control.access.authenticator import authenticator_for
from pipeline.control.inspections.desk import HistoryDesk
from pipeline.control.live import pictures
from pipeline.control.settings import ApiSettings
from pipeline.history.settings import HistorySettings
from pipeline.sinks.redis_client import RedisSettings
from pipeline.sinks.redis_pool import RedisPool
from tests.api_client import api_client
from tests.api_server import api_server
from tests.services.api.probing import WHOLE, Found, probe
from tests.services.api.shown import report, shown
from tests.unit.history.parts import history, put, row

pytestmark = pytest.mark.services

KEY = ApiKey.new()
NO_LIMIT = "1000000/second"
# They answer for as long as they are listened to; test_live.py and test_stream.py are about them.
GO_ON = r"/live$|/v1/stream/"


async def test_every_call_has_a_summary_and_says_what_it_answers(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        schema = (await asks.get("/openapi.json")).json()
    known = set(schema["components"]["schemas"])
    assert {ref for ref in re.findall(r"#/components/schemas/(\w+)", json.dumps(schema))} <= known
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            assert any(answer.get("content") for answer in good) or "204" in operation["responses"], (method, path)


async def test_a_cameras_settings_are_described_as_they_are_taken(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        paths = (await asks.get("/openapi.json")).json()["paths"]
    new = paths["/v1/cameras"]["post"]["requestBody"]["content"]["application/json"]
    changes = paths["/v1/cameras/{camera}"]["patch"]["requestBody"]["content"]["application/json"]
    assert new["schema"]["required"] == ["name", "url"]
    assert "required" not in changes["schema"]
    assert new["schema"]["properties"]["threads"]["default"] == 1
    assert "default" not in changes["schema"]["properties"]["threads"]
    assert not {"password_file", "username_file", "camera_id"} & {*new["schema"]["properties"]}
    assert new["examples"]
    assert changes["examples"]


@pytest.fixture
async def url(
    redis: RedisSettings, config: RaylineConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[str]:
    """Of an API behind its own server, for the bearer of KEY; camera a runs and shows pictures, and judged parts."""
    monkeypatch.setattr(pictures, "FIRST_WITHIN_S", 0.3)
    settings = ApiSettings.model_validate(
        {
            "auth": {"keys": [{"name": "root", "sha256": KEY.sha256, "role": "admin"}]},
            "rate_limits": dict.fromkeys(("per_principal", "detect", "per_address", "failed"), NO_LIMIT),
            "detect": {"fetch": "allowed"},  # and nothing is
            "stream_max_s": 1,
        }
    )
    pool = RedisPool(redis)
    await report(redis, "a", "l1", "running")
    authenticator = authenticator_for(settings, pool)
    with history(tmp_path) as database:
        put(database, *(row(n, verdict) for n, verdict in enumerate(("pass", "reject", "indeterminate"))))
    desk = HistoryDesk(HistorySettings(data_dir=tmp_path))
    async with (
        shown(redis, "l1", "a"),
        api_server(redis, config, settings=settings, authenticator=authenticator, guarded=True, history=desk) as server,
    ):
        yield server.http
    await pool.close()


async def probed(url: str, phases: Sequence[str], examples: int, excluded: str = "") -> Found:
    found = await asyncio.to_thread(probe, url, KEY.text, phases=phases, examples=examples, excluded=excluded)
    assert not found.broken, "\n\n".join(found.broken)
    return found


async def test_whatever_is_asked_is_answered_as_described(url: str) -> None:
    found = await probed(url, ("examples", "fuzzing"), examples=6, excluded=GO_ON)
    assert found.cases >= 100
    assert len(found.succeeded()) >= 15, found.answers


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_whatever_is_asked_thousands_of_times_is_answered_as_described(url: str) -> None:
    found = await probed(url, WHOLE, examples=50)
    assert found.cases >= 2000
    # The camera may be removed early, and is not there for the calls behind that.
    assert len(found.succeeded()) >= 15, found.answers
