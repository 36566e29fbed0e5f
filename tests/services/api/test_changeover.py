"""A line's recipe and a model's thresholds by the API: what is refused, what is told, and who may."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from pipeline.config import RaylineConfig, config_data, config_of_data
from pipeline.control.access.roles import Role
from pipeline.orchestrate.audit import AuditLog
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.api_client import api_client
from tests.services.api.callers import Always

pytestmark = pytest.mark.services


@pytest.fixture
def config(config: RaylineConfig) -> RaylineConfig:
    data = config_data(config)
    data["models"]["faces"] = {"weights": "faces.pt"}
    data["recipes"]["faces"] = {"model": "faces"}
    data["cameras"]["d"] = {"url": "rtsp://127.0.0.1:8554/d", "line": "l1", "recipe": "small", "counts": False}
    return config_of_data(data)


@pytest.fixture
async def asks(redis: RedisSettings, config: RaylineConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(redis, config, authenticator=Always(Role.ADMIN)) as client:
        yield client


async def report(redis: RedisSettings, *cameras: CameraReport) -> None:
    client = connect(redis)
    await StateStore(client).write(SystemReport(at=1.0, started_at=0.0, cameras=cameras))
    await client.aclose()


def works(camera: str, recipe: str, **told: Any) -> CameraReport:
    return CameraReport(camera=camera, line="l1", station=camera, state="running", since=1.0, recipe=recipe, **told)


async def test_a_changeover_is_pending_until_each_camera_works_by_it(
    redis: RedisSettings, asks: httpx.AsyncClient
) -> None:
    answer = await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})
    told = answer.json()
    assert (answer.status_code, told["from"], told["to"], told["state"]) == (202, "small", "large", "pending")
    assert {each["camera"]: each["state"] for each in told["cameras"]} == {"a": "pending", "b": "pending", "d": "own"}
    change = told["change_id"]
    waits = works("a", "small", recipe_desired="large")
    await report(redis, waits, works("b", "large", change_id=change), works("d", "small"))
    again = await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})
    assert (again.status_code, again.json()["change_id"]) == (202, change)  # the same one
    line = (await asks.get("/v1/lines/l1")).json()
    assert line["changeover"] == again.json()
    assert [each["state"] for each in line["changeover"]["cameras"]] == ["pending", "in_force", "own"]
    assert "until a gap between parts" in line["changeover"]["cameras"][0]["reason"]
    await report(
        redis, works("a", "large", change_id=change), works("b", "large", change_id=change), works("d", "small")
    )
    done = await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})
    assert (done.status_code, done.json()["state"]) == (200, "done")
    assert (await asks.get("/v1/lines/l2")).json()["changeover"] is None


async def test_nobody_waits_for_a_camera_that_gives_no_frame(redis: RedisSettings, asks: httpx.AsyncClient) -> None:
    change = (await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})).json()["change_id"]
    paused = works("a", "small", recipe_desired="large").model_copy(update={"state": "paused"})
    await report(redis, paused, works("b", "large", change_id=change))
    told = (await asks.get("/v1/lines/l1")).json()["changeover"]
    assert (told["state"], told["cameras"][0]["state"]) == ("done", "away")
    assert told["cameras"][0]["reason"] == "it is paused: it changes with its next frame"


async def test_a_recipe_that_does_not_fit_a_camera_is_told(redis: RedisSettings, asks: httpx.AsyncClient) -> None:
    await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})
    no = "the model knows no class 'jar'"
    await report(redis, *(works(name, "small", recipe_desired="large", recipe_refused=no) for name in ("a", "b")))
    told = (await asks.get("/v1/lines/l1")).json()["changeover"]
    assert (told["state"], told["cameras"][0]["reason"]) == ("refused", no)


@pytest.mark.parametrize(
    ("line", "recipe", "status", "words"),
    [
        pytest.param("l1", "larg", 422, "did you mean 'large'?", id="a recipe that is not there"),
        pytest.param("l1", "faces", 422, "rolling out another model is another command", id="another model"),
        pytest.param("l3", "large", 404, "there are: l1, l2", id="a line that is not there"),
        pytest.param("l1", "Large!", 422, "body.recipe", id="no name at all"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    asks: httpx.AsyncClient, line: str, recipe: str, status: int, words: str
) -> None:
    answer = await asks.put(f"/v1/lines/{line}/recipe", json={"recipe": recipe})
    assert answer.status_code == status
    assert words in answer.text
    assert (await asks.get("/v1/lines/l1")).json()["changeover"] is None


async def test_a_line_of_others_is_not_there(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config, authenticator=Always(Role.OPERATOR, ["l2"])) as asks:
        assert (await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})).status_code == 404
    async with api_client(redis, authenticator=Always(Role.VIEWER)) as asks:
        assert (await asks.put("/v1/lines/l1/recipe", json={"recipe": "large"})).status_code == 403


async def test_thresholds_are_told_audited_and_taken_back(redis: RedisSettings, asks: httpx.AsyncClient) -> None:
    told = (await asks.patch("/v1/models/bottles", json={"min_score": 0.4, "max_detections": 50})).json()
    assert (told["min_score"], told["max_detections"]) == (0.4, 50)
    assert told["changed"] == {"min_score": 0.25, "max_detections": 300}
    assert (await asks.get("/v1/models/bottles")).json() == told
    back = (await asks.patch("/v1/models/bottles", json={"min_score": None})).json()
    assert (back["min_score"], back["changed"]) == (0.25, {"max_detections": 300})
    client = connect(redis)
    (newest, before, *_), _ = await AuditLog(client).read(5)
    await client.aclose()
    assert (before.action, before.target, before.by.name) == ("model.set", "bottles", "anna")
    assert (before.changes["min_score"].old, before.changes["min_score"].new) == (0.25, 0.4)
    assert set(newest.changes) == {"min_score"}


@pytest.mark.parametrize(
    ("model", "given", "status", "words"),
    [
        pytest.param("bottles", {"min_score": 2}, 422, "body.min_score", id="out of range"),
        pytest.param("bottles", {"weights": "x.pt"}, 422, "body.weights", id="not hot"),
        pytest.param("bottles", {}, 422, "nothing to change", id="nothing"),
        pytest.param("bottle", {"iou": 0.5}, 404, "did you mean 'bottles'?", id="no such model"),
    ],
)
async def test_thresholds_that_cannot_be_are_refused(
    asks: httpx.AsyncClient, model: str, given: dict[str, Any], status: int, words: str
) -> None:
    answer = await asks.patch(f"/v1/models/{model}", json=given)
    assert answer.status_code == status
    assert words in answer.text


async def test_a_models_thresholds_are_only_for_who_may_change_every_line_that_uses_it(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    async with api_client(redis, config, authenticator=Always(Role.ENGINEER, ["l1"])) as asks:
        answer = await asks.patch("/v1/models/bottles", json={"iou": 0.5})
    assert answer.status_code == 403
    assert "lines that are none of yours" in answer.text
