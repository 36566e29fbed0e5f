"""The API describes itself: every call in words, with what comes in and what goes out."""

import json
import re

import pytest

from pipeline.config import RaylineConfig
from pipeline.sinks.redis_client import RedisSettings
from tests.api_client import api_client

pytestmark = pytest.mark.services


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
