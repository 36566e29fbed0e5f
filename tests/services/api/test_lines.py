"""Lines and models by the API: what belongs together, what was counted and judged, and only one's own."""

import pytest

from pipeline.config import RaylineConfig, config_data, config_of_data
from pipeline.control.access.roles import Role
from pipeline.orchestrate.line_count import CountStore, LineCount
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.api_client import api_client
from tests.services.api.callers import Always

pytestmark = pytest.mark.services


def reported(camera: str, state: str = "running", health: str = "ok", **parts: int) -> CameraReport:
    return CameraReport(camera=camera, line="l1", station=camera, state=state, since=1.0, health=health, parts=parts)


async def report(redis: RedisSettings, *cameras: CameraReport) -> None:
    client = connect(redis)
    await StateStore(client).write(SystemReport(at=1.0, started_at=0.0, desired_version=1, cameras=cameras))
    await client.aclose()


async def test_a_line_tells_its_cameras_and_what_they_judged(redis: RedisSettings, config: RaylineConfig) -> None:
    await report(redis, reported("a", reject=1, **{"pass": 4}), reported("b", "reconnecting", **{"pass": 2}))
    async with api_client(redis, config) as asks:
        line = (await asks.get("/v1/lines/l1")).json()
    assert [(camera["name"], camera["state"], camera["counts"]) for camera in line["cameras"]] == [
        ("a", "running", True),
        ("b", "reconnecting", False),
    ]
    assert (line["recipe"], line["stations"], line["counting_camera"]) == ("small", ["a", "b"], "a")
    assert (line["parts"], line["verdicts"]) == ({"pass": 4, "reject": 1}, {"pass": 6, "reject": 1})
    assert (line["state"], line["uninspected_now"], line["counts"]) == ("reconnecting", False, None)
    assert (line["version"], line["version_in_force"]) == (1, 1)


@pytest.mark.parametrize(
    ("state", "health", "blind"),
    [
        pytest.param("running", "ok", False, id="it sees"),
        pytest.param("running", "covered", True, id="covered"),
        pytest.param("paused", "stale", True, id="paused"),
        pytest.param("ended", "ok", False, id="nothing passes any more"),
        pytest.param("failed", "stale", True, id="failed"),
    ],
)
async def test_parts_that_pass_unseen_are_told(
    redis: RedisSettings, config: RaylineConfig, state: str, health: str, blind: bool
) -> None:
    await report(redis, reported("a", state, health), reported("b", "failed"))
    async with api_client(redis, config) as asks:
        assert (await asks.get("/v1/lines/l1")).json()["uninspected_now"] is blind


async def test_what_a_part_counter_counted_is_set_beside_what_was_inspected(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    data = config_data(config)
    data["lines"]["l1"]["part_counter"] = {"stream": "parts"}
    client = connect(redis)
    await CountStore(client).write(LineCount(line="l1", counter="parts", since=5.0, counted=9, inspected=7, recent="x"))
    await client.aclose()
    async with api_client(redis, config_of_data(data)) as asks:
        counts = (await asks.get("/v1/lines/l1")).json()["counts"]
    assert (counts["counted"], counts["inspected"], counts["difference"], counts["since"]) == (9, 7, 2, 5.0)
    assert "recent" not in counts


async def test_where_nothing_reports_nothing_is_said_of_now(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        line = (await asks.get("/v1/lines/l2")).json()
    assert (line["state"], line["uninspected_now"], line["parts"]) == ("unknown", None, {})


async def test_cameras_without_a_line_are_one_of_their_own(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        await asks.post("/v1/cameras", json={"name": "gate", "url": "rtsp://127.0.0.1/g", "recipe": "small"})
        lines = (await asks.get("/v1/lines")).json()["lines"]
    assert [(line["name"], line["recipe"], line["counting_camera"]) for line in lines] == [
        ("gate", "small", "gate"),
        ("l1", "small", "a"),
        ("l2", "large", "c"),
    ]


async def test_others_lines_are_not_there(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config, authenticator=Always(Role.VIEWER, ["l1"])) as asks:
        lines = (await asks.get("/v1/lines")).json()["lines"]
        assert [line["name"] for line in lines] == ["l1"]
        assert (await asks.get("/v1/lines/l2")).status_code == 404
        model = (await asks.get("/v1/models/bottles")).json()
    assert (model["lines"], model["cameras"]) == (["l1"], ["a", "b"])


async def test_a_line_of_no_such_name_is_told_the_nearest(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config) as asks:
        answer = await asks.get("/v1/lines/l-1")
        assert (answer.status_code, "did you mean 'l1'?" in answer.json()["detail"]) == (404, True)
        assert (await asks.get("/v1/lines/%0a")).status_code in (404, 422)


async def test_models_tell_what_they_are_set_to_and_who_uses_them(redis: RedisSettings, config: RaylineConfig) -> None:
    data = config_data(config)
    data["models"]["idle"] = {"weights": "s3://user:hunter2@bucket/idle.pt", "sha256": "0" * 64, "min_score": 0.4}
    async with api_client(redis, config_of_data(data)) as asks:
        answer = await asks.get("/v1/models")
        bottles, idle = answer.json()["models"]
        assert (await asks.get("/v1/models/idle")).json() == idle
        missing = await asks.get("/v1/models/bottels")
    assert (bottles["running"], bottles["image_size"], bottles["runtime"]) == (True, [256, 416], "auto")
    assert (bottles["recipes"], bottles["lines"], bottles["cameras"]) == (
        ["large", "small"],
        ["l1", "l2"],
        ["a", "b", "c"],
    )
    assert (idle["running"], idle["min_score"], idle["sha256"], idle["cameras"]) == (False, 0.4, "0" * 64, [])
    assert "hunter2" not in answer.text
    assert (missing.status_code, "did you mean 'bottles'?" in missing.json()["detail"]) == (404, True)
