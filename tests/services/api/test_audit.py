"""The audit log by the API: newest first, in pages, for admins."""

import pytest

from pipeline.config import RaylineConfig
from pipeline.control.access.roles import Role
from pipeline.sinks.redis_client import RedisSettings
from tests.api_client import api_client
from tests.services.api.callers import Always

pytestmark = pytest.mark.services


async def test_it_is_paged_from_the_newest_on(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        for camera in "abc":
            await asks.post(f"/v1/cameras/{camera}/pause")
        first = (await asks.get("/v1/audit", params={"limit": 2})).json()
        rest = (await asks.get("/v1/audit", params={"limit": 2, "before": first["next"]})).json()
    assert [entry["target"] for entry in first["entries"]] == ["c", "b"]
    assert [(entry["action"], entry["target"]) for entry in rest["entries"]] == [
        ("camera.pause", "a"),
        ("config.publish", ""),
    ]
    assert rest["next"] is None
    assert first["entries"][0]["changes"] == {"paused": {"old": False, "new": True}}


@pytest.mark.parametrize(
    ("before", "entries"),
    [
        ("0-0", 0),
        ("0-1", 0),
        ("1-0", 0),
        ("99999999999999999999-99999999999999999999", 1),
        ("18446744073709551615-0", 1),
    ],
)
async def test_any_id_is_a_place_to_begin(
    redis: RedisSettings, config: RaylineConfig, before: str, entries: int
) -> None:
    async with api_client(redis, config) as asks:
        answer = await asks.get("/v1/audit", params={"before": before})
    assert (answer.status_code, len(answer.json()["entries"])) == (200, entries)


async def test_it_is_for_admins_alone(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config, authenticator=Always(Role.ENGINEER)) as asks:
        assert (await asks.get("/v1/audit")).status_code == 403


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"before": "+"}, {"before": "1-0 COUNT"}, {"before": "\u0663-\u0660"}]
)
async def test_a_bad_page_is_told(redis: RedisSettings, config: RaylineConfig, query: dict[str, str | int]) -> None:
    async with api_client(redis, config) as asks:
        assert (await asks.get("/v1/audit", params=query)).status_code == 422
