"""What probes are told, and what every answer has in common."""

import pytest

from pipeline.config import RaylineConfig
from pipeline.orchestrate.state import StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.api_client import OneBoxDetector, api_client

pytestmark = pytest.mark.services


async def test_it_is_alive_before_anything_is_ready(redis: RedisSettings) -> None:
    async with api_client(redis, detector=OneBoxDetector(ready=False)) as asks:
        answer = await asks.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_while_a_model_loads(redis: RedisSettings) -> None:
    async with api_client(redis, detector=OneBoxDetector(ready=False)) as asks:
        answer = await asks.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_it_is_ready_once_the_supervisor_reports(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        before = await asks.get("/readyz")
        client = connect(redis)
        await StateStore(client).write(SystemReport(at=1.0, started_at=0.0, run_id="r", desired_version=1))
        await client.aclose()
        after = await asks.get("/readyz")
    assert (before.status_code, after.status_code) == (503, 200)


async def test_before_anything_is_desired_a_camera_is_a_503_and_no_fault(redis: RedisSettings) -> None:
    async with api_client(redis) as asks:
        answers = [await asks.get(path) for path in ("/v1/cameras", "/v1/cameras/a", "/v1/cameras/a/snapshot")]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "2")] * 3


async def test_a_redis_that_is_away_is_a_503_that_says_when_to_come_again() -> None:
    nowhere = RedisSettings(url="redis://127.0.0.1:1/0", retries=0)
    async with api_client(nowhere) as asks:
        answer = await asks.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_every_answer_carries_its_request_id(redis: RedisSettings) -> None:
    async with api_client(redis) as asks:
        given = await asks.get("/healthz", headers={"x-request-id": "abc-1"})
        made = await asks.get("/v1/nothing-here", headers={"x-request-id": "no\tgood"})
    assert given.headers["x-request-id"] == "abc-1"
    assert made.headers["x-request-id"] == made.json()["request_id"] != "no\tgood"


@pytest.mark.parametrize(
    ("path", "allowed"), [("/healthz", "GET"), ("/v1/cameras", "GET, POST"), ("/v1/cameras/a", "DELETE, GET, PATCH")]
)
async def test_what_is_not_allowed_is_told_with_all_that_is(redis: RedisSettings, path: str, allowed: str) -> None:
    async with api_client(redis) as asks:
        for method in ("OPTIONS", "HEAD", "TRACE", "PUT", "PURGE"):
            answer = await asks.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed), method
            assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_is_sent_where_the_host_header_says(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        answer = await asks.get("/v1/cameras/", headers={"host": "elsewhere.example"})
    assert (answer.status_code, "location" in answer.headers) == (404, False)


async def test_a_fault_before_a_route_is_a_problem_like_any_other(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        client = connect(redis)
        await client.hset("rayline:desired", "config", "no JSON")
        await client.aclose()
        answer = await asks.get("/v1/cameras/a")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
