"""Cameras by the API: desired and reported in one answer, changes that are not lost, and no password out."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from pipeline.config import RaylineConfig
from pipeline.control.access.roles import Role
from pipeline.control.settings import ApiSettings
from pipeline.orchestrate.audit import AuditLog
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.redis_client import RedisSettings, connect
from stages.values import CameraId
from tests.api_client import api_client
from tests.services.api.callers import Always

pytestmark = pytest.mark.services

A = "/v1/cameras/a"
NEW = {"name": "new", "url": "rtsp://user:hunter3@127.0.0.1:8554/n", "line": "l1", "fps": 5}


@pytest.fixture
async def api(redis: RedisSettings, config: RaylineConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(redis, config) as asks:
        yield asks


@pytest.fixture
async def line_1(redis: RedisSettings, config: RaylineConfig) -> AsyncIterator[httpx.AsyncClient]:
    """An engineer of line l1 alone."""
    async with api_client(redis, config, authenticator=Always(Role.ENGINEER, ["l1"])) as asks:
        yield asks


async def desired(redis: RedisSettings) -> DesiredState:
    client = connect(redis)
    state = await DesiredStore(client).read()
    await client.aclose()
    return state


async def report(redis: RedisSettings, version: int, *cameras: CameraReport) -> None:
    client = connect(redis)
    await StateStore(client).write(SystemReport(at=1.0, started_at=0.0, desired_version=version, cameras=cameras))
    await client.aclose()


def running(camera: str, line: str = "l1") -> CameraReport:
    return CameraReport(
        camera=camera,
        line=line,
        station=camera,
        state="running",
        since=7.0,
        fps_in=15.0,
        fps_out=14.8,
        dropped={"stale": 3},
        parts={"pass": 9},
        size=(640, 480),
        clock="rtcp",
        latency_ms_p50=61.0,
        last_error=None,
        shard="bottles-live-0",
    )


async def test_what_is_desired_and_what_is_reported_come_together(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    await report(redis, 1, running("a"))
    camera = (await api.get(A)).json()
    assert (camera["line"], camera["station"], camera["recipe"], camera["override"]) == ("l1", "a", "small", None)
    assert (camera["state"], camera["since"], camera["fps_in"], camera["fps_out"]) == ("running", 7.0, 15.0, 14.8)
    assert (camera["dropped"], camera["parts"], camera["size"]) == ({"stale": 3}, {"pass": 9}, [640, 480])
    assert (camera["clock"], camera["latency_ms_p50"], camera["shard"]) == ("rtcp", 61.0, "bottles-live-0")
    assert (camera["in_force"], camera["version"], camera["version_in_force"]) == (True, 1, 1)


async def test_a_list_is_told_apart_by_line_and_state(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    await report(redis, 1, running("a"), running("c", "l2"))

    async def names(**query: str | int) -> list[str]:
        answer = await api.get("/v1/cameras", params=query)
        return [camera["name"] for camera in answer.json()["cameras"]]

    assert await names() == ["a", "b", "c"]
    assert await names(line="l1") == ["a", "b"]
    assert await names(state="running") == ["a", "c"]
    assert await names(state="starting", line="l1") == ["b"]
    assert await names(line="l9") == []
    first = (await api.get("/v1/cameras", params={"limit": 2})).json()
    assert first["next"] == "b"
    assert await names(after=first["next"]) == ["c"]
    assert (await api.get("/v1/cameras", params={"state": "funny"})).status_code == 422


async def test_where_nothing_reports_the_state_is_not_known(api: httpx.AsyncClient) -> None:
    camera = (await api.get(A)).json()
    assert (camera["state"], camera["in_force"], camera["version_in_force"]) == ("unknown", False, None)


async def test_a_camera_is_added_with_its_place_and_its_tag(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    answer = await api.post("/v1/cameras", json=NEW)
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/cameras/new")
    assert (answer.json()["override"], answer.json()["version"], answer.json()["in_force"]) == ("added", 2, False)
    seen = await api.get(answer.headers["location"])
    assert seen.headers["etag"] == answer.headers["etag"]
    assert (await desired(redis)).config.cameras["new"].url.get_secret_value() == NEW["url"]
    await report(redis, 2)
    assert (await api.get("/v1/cameras/new")).json()["in_force"] is True


async def test_one_of_a_name_that_is_taken_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/cameras", json=NEW | {"name": "a"})
    assert (answer.status_code, "there already" in answer.json()["detail"]) == (409, True)


async def test_only_what_is_given_changes_and_the_password_stays(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    answer = await api.patch("/v1/cameras/c", json={"fps": 5})
    assert (answer.status_code, answer.json()["settings"]["fps"]) == (200, 5)
    camera = (await desired(redis)).config.cameras["c"]
    assert (camera.fps, camera.url.get_secret_value()) == (5, "rtsp://user:hunter2@127.0.0.1:8554/c")


async def test_null_means_what_it_means_in_the_file_or_takes_a_change_back(
    api: httpx.AsyncClient, redis: RedisSettings
) -> None:
    await api.patch(A, json={"fps": 5, "buffer_frames": 7, "keyframes_only_behind_s": 9})
    await api.patch(A, json={"fps": None, "buffer_frames": None, "keyframes_only_behind_s": None})
    camera = (await desired(redis)).config.cameras["a"]
    assert (camera.fps, camera.buffer_frames, camera.keyframes_only_behind_s) == (None, 2, None)
    await api.post("/v1/cameras", json=NEW | {"threads": 4})
    await api.patch("/v1/cameras/new", json={"threads": None})
    assert (await desired(redis)).config.cameras["new"].threads == 1
    needed = await api.patch("/v1/cameras/new", json={"url": None})
    assert (needed.status_code, needed.json()["errors"][0]["at"]) == (422, "cameras.new.url")


async def test_pause_resume_and_reset(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    assert (await api.post(f"{A}/pause")).json()["paused"] is True
    assert (await api.post(f"{A}/resume")).json()["paused"] is False
    await api.patch(A, json={"fps": 5})
    answer = await api.post(f"{A}/reset")
    assert (answer.status_code, answer.json()["override"], answer.json()["settings"].get("fps")) == (200, None, None)
    again = await api.post(f"{A}/reset")
    assert (again.status_code, "nothing to reset" in again.json()["detail"]) == (409, True)


async def test_a_restart_is_asked_for_and_audited(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    answer = await api.post(f"{A}/restart")
    assert (answer.status_code, answer.json()["override"], answer.json()["changed_at"]) == (200, None, None)
    assert (await desired(redis)).restart_of(CameraId("a"))
    client = connect(redis)
    (newest, *_), _ = await AuditLog(client).read(5)
    await client.aclose()
    assert (newest.action, newest.target) == ("camera.restart", "a")


async def test_a_camera_of_the_file_that_was_removed_comes_back_by_reset(api: httpx.AsyncClient) -> None:
    assert (await api.delete(A)).status_code == 204
    for gone in (await api.get(A), await api.patch(A, json={"fps": 1}), await api.delete(A)):
        assert (gone.status_code, "/reset brings it back" in gone.json()["detail"]) == (404, True)
    listed = (await api.get("/v1/cameras")).json()
    assert ([camera["name"] for camera in listed["cameras"]], listed["removed"]) == (["b", "c"], ["a"])
    assert (await api.post(f"{A}/reset")).json()["name"] == "a"


async def test_one_that_was_added_is_gone_for_good(api: httpx.AsyncClient) -> None:
    await api.post("/v1/cameras", json=NEW)
    assert (await api.delete("/v1/cameras/new")).status_code == 204
    assert (await api.get("/v1/cameras/new")).status_code == 404
    await api.post("/v1/cameras", json=NEW)
    assert (await api.post("/v1/cameras/new/reset")).status_code == 204


async def test_one_that_no_longer_fits_is_told_and_can_be_dropped(
    api: httpx.AsyncClient, redis: RedisSettings, config: RaylineConfig
) -> None:
    await api.post("/v1/cameras", json=NEW | {"recipe": "large"})
    client = connect(redis)
    del (smaller := dict(config.recipes))["large"]
    lines = {name: line.model_copy(update={"recipe": "small"}) for name, line in config.lines.items()}
    await DesiredStore(client).publish(config.model_copy(update={"recipes": smaller, "lines": lines}))
    await client.aclose()
    assert "large" in (await api.get("/v1/cameras")).json()["problems"]["new"]
    answer = await api.get("/v1/cameras/new")
    assert (answer.status_code, "cannot run" in answer.json()["detail"]) == (404, True)
    assert (await api.post("/v1/cameras/new/reset")).status_code == 204


async def test_of_two_changes_by_one_tag_exactly_one_holds(api: httpx.AsyncClient, redis: RedisSettings) -> None:
    tag = (await api.get(A)).headers["etag"]
    changes = [api.patch(A, json={"fps": fps}, headers={"If-Match": tag}) for fps in range(1, 9)]
    answers = await asyncio.gather(*changes)
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]
    [held] = [answer for answer in answers if answer.status_code == 200]
    assert (await desired(redis)).config.cameras["a"].fps == held.json()["settings"]["fps"]
    assert (await api.get(A)).headers["etag"] == held.headers["etag"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", A), ("DELETE", A), ("POST", f"{A}/pause"), ("POST", f"{A}/resume"), ("POST", f"{A}/reset")],
)
async def test_what_was_changed_since_is_left_as_it_is(
    api: httpx.AsyncClient, redis: RedisSettings, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    tag = (await api.get(A)).headers["etag"]
    await api.patch(A, json={"fps": 9})
    body = {"fps": 1} if method == "PATCH" else None
    with caplog.at_level(logging.INFO, "pipeline.control.problems"):
        refused = await api.request(method, path, json=body, headers={"If-Match": tag, "x-request-id": "r-1"})
    assert refused.status_code == 412
    assert "r-1" in caplog.text
    assert (await desired(redis)).config.cameras["a"].fps == 9
    changed = await api.request(method, path, json=body, headers={"If-Match": "*"})
    assert changed.status_code in (200, 204)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        pytest.param("{tag}", 200, id="as it is"),
        pytest.param('"other", {tag}', 200, id="one of several"),
        pytest.param("W/{tag}", 412, id="a weak one never matches"),
        pytest.param('"other"', 412, id="another"),
        pytest.param("no-quotes", 400, id="no tag at all"),
    ],
)
async def test_if_match_is_read_as_the_standard_says(api: httpx.AsyncClient, given: str, status: int) -> None:
    header = given.replace("{tag}", (await api.get(A)).headers["etag"])
    assert (await api.post(f"{A}/pause", headers={"If-Match": header})).status_code == status


async def test_a_tag_that_still_holds_is_304(api: httpx.AsyncClient) -> None:
    tag = (await api.get(A)).headers["etag"]
    same = await api.get(A, headers={"If-None-Match": f'"x", W/{tag}'})
    assert (same.status_code, same.headers["etag"], same.content) == (304, tag, b"")
    await api.patch("/v1/cameras/b", json={"fps": 9})
    assert (await api.get(A, headers={"If-None-Match": tag})).status_code == 304
    await api.patch(A, json={"fps": 9})
    assert (await api.get(A, headers={"If-None-Match": tag})).status_code == 200


async def test_no_password_leaves_in_any_answer_header_log_or_audit(
    api: httpx.AsyncClient, redis: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        await api.post("/v1/cameras", json=NEW),
        await api.post("/v1/cameras", json=NEW),
        await api.patch("/v1/cameras/c", json={"url": "rtsp://user:hunter4@127.0.0.1:8554/c2"}),
        await api.patch("/v1/cameras/c", json={"url": "rtsp://user:hunter5@/nowhere"}),
        await api.patch("/v1/cameras/c", json={"url": "file:/hunter6", "options": {"headers": "hunter7"}}),
        await api.patch("/v1/cameras/c", json={"password": "hunter8"}),
        await api.patch("/v1/cameras/c", json={"url": ["hunter9"]}),
        await api.patch("/v1/cameras/c", content=b'{"url": "rtsp://user:hunter9@h/x"'),
        await api.get("/v1/cameras"),
        await api.get("/v1/cameras/c"),
        await api.delete("/v1/cameras/c", headers={"If-Match": '"x"'}),
        await api.delete("/v1/cameras/c"),
        await api.get("/v1/audit"),
    ]
    assert [answer.status_code for answer in answers] == [
        *(201, 409, 200, 422, 422, 422, 422, 422, 200, 200, 412, 204, 200)
    ]
    assert "hunter" not in "".join(f"{answer.headers}{answer.text}" for answer in answers)
    assert "hunter" not in caplog.text
    assert "user:***@" in answers[9].json()["url"]


@pytest.mark.parametrize(
    ("given", "at", "told"),
    [
        pytest.param({"password_file": "/etc/shadow"}, "password_file", "file of this machine", id="a secret file"),
        pytest.param({"username_file": None}, "username_file", "file of this machine", id="taking one away"),
        pytest.param({"camera_id": "b"}, "camera_id", "cannot be set", id="another name"),
        pytest.param({"url": "file:/etc/passwd"}, "url", "`file`", id="a file"),
        pytest.param({"url": "/etc/passwd"}, "url", "`file`", id="a path"),
        pytest.param({"url": "v4l2:/dev/video0"}, "url", "`v4l2`", id="a device"),
        pytest.param({"url": "rtsp://user:***@127.0.0.1/c"}, "url", "give the password again", id="a masked address"),
        pytest.param({"options": {"protocol_whitelist": "file"}}, "options.protocol_whitelist", "FFmpeg", id="options"),
        pytest.param({"fps": "many"}, "fps", "valid number", id="no number"),
        pytest.param({"fsp": 5}, "fsp", "did you mean 'fps'?", id="a typo"),
        pytest.param({"line": "l3"}, "line", "lines there are: l1, l2", id="no such line"),
        pytest.param({"recipe": "smal"}, "recipe", "did you mean 'small'?", id="no such recipe"),
        pytest.param({"line": {"a": 1}}, "line", "valid string", id="a line that is no name"),
        pytest.param({"url": "kafka:nowhere"}, "url", "there is no topic", id="no such topic"),
    ],
)
async def test_what_does_not_fit_is_told_with_its_path(
    api: httpx.AsyncClient, given: dict[str, object], at: str, told: str
) -> None:
    answer = await api.patch("/v1/cameras/c", json=given)
    [problem, *_] = answer.json()["errors"]
    assert (answer.status_code, problem["at"]) == (422, f"cameras.c.{at}")
    assert told in problem["message"]
    added = await api.post("/v1/cameras", json={"name": "new", "url": "rtsp://127.0.0.1/n", "line": "l1"} | given)
    assert (added.status_code, added.json()["errors"][0]["at"]) == (422, f"cameras.new.{at}")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param({"url": "rtsp://127.0.0.1/n"}, "is needed", id="no name"),
        pytest.param({"name": "Cam 1", "url": "rtsp://127.0.0.1/n"}, "for example 'cam-1'", id="no such name may be"),
        pytest.param({"name": "new", "line": "l1"}, "is needed and not there", id="no address"),
        pytest.param({"name": "new", "x" * 20_000: 1}, "too long", id="too long"),
        pytest.param([1], "dictionary", id="no object"),
    ],
)
async def test_what_is_no_camera_is_not_added(api: httpx.AsyncClient, body: object, told: str) -> None:
    answer = await api.post("/v1/cameras", json=body)
    assert (answer.status_code, told in answer.text) == (422, True)


async def test_a_scheme_of_this_machine_is_taken_where_its_owner_says_so(
    redis: RedisSettings, config: RaylineConfig
) -> None:
    settings = ApiSettings(open_to_loopback=True, camera_schemes=("file",))
    async with api_client(redis, config, settings=settings) as asks:
        assert (await asks.patch(A, json={"url": "file:/tmp/clip.mp4"})).status_code == 200
        assert (await asks.patch(A, json={"url": "rtsp://127.0.0.1/a"})).status_code == 422


async def test_a_name_that_is_none_is_not_found(api: httpx.AsyncClient) -> None:
    for name in ("nope", "A", "..", "%00", "a%2Fb", "x" * 5000, "%F0%9F%98%80"):
        assert (await api.get(f"/v1/cameras/{name}")).status_code == 404
    assert "did you mean 'a'?" not in (await api.get("/v1/cameras/zzz")).json()["detail"]
    await api.post("/v1/cameras", json=NEW | {"name": "labeller"})
    assert "did you mean 'labeller'?" in (await api.get("/v1/cameras/labeler")).json()["detail"]


async def test_of_other_lines_nothing_is_seen(line_1: httpx.AsyncClient) -> None:
    listed = (await line_1.get("/v1/cameras")).json()
    assert [camera["name"] for camera in listed["cameras"]] == ["a", "b"]
    for answer in (
        await line_1.get("/v1/cameras/c"),
        await line_1.patch("/v1/cameras/c", json={"fps": 1}),
        await line_1.delete("/v1/cameras/c"),
        await line_1.post("/v1/cameras/c/pause"),
    ):
        assert answer.status_code == 404
        assert answer.json()["detail"] == "there is no camera 'c'; there are: a, b"


async def test_a_camera_goes_to_a_line_only_by_who_may_on_both(
    line_1: httpx.AsyncClient, redis: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pipeline.control.problems"):
        for body in ({"line": "l2"}, {"line": None}, {"line": "no-such-line"}):
            answer = await line_1.patch(A, json=body)
            assert (answer.status_code, "none of yours" in answer.json()["detail"]) == (403, True)
    assert "anna may not PATCH '/v1/cameras/a' (403)" in caplog.text
    for line in ("l2", None):
        assert (await line_1.post("/v1/cameras", json=NEW | {"line": line})).status_code == 403
    assert (await line_1.post("/v1/cameras", json=NEW)).status_code == 201
    assert (await desired(redis)).line_of("a") == "l1"


async def test_others_cameras_are_neither_replaced_nor_brought_back(
    line_1: httpx.AsyncClient, redis: RedisSettings
) -> None:
    client = connect(redis)
    store = DesiredStore(client)
    await store.remove("c")
    assert (await line_1.post("/v1/cameras", json=NEW | {"name": "c"})).status_code == 409
    await store.reset("c")
    await store.set("c", {"line": "l1", "recipe": "large"})
    await client.aclose()
    assert (await line_1.post("/v1/cameras/c/pause")).status_code == 200
    assert (await line_1.post("/v1/cameras/c/reset")).status_code == 403


async def test_a_viewer_changes_nothing_and_an_operator_pauses(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config, authenticator=Always(Role.VIEWER)) as asks:
        assert (await asks.get(A)).status_code == 200
        assert (await asks.post(f"{A}/pause")).status_code == 403
    async with api_client(redis, authenticator=Always(Role.OPERATOR)) as asks:
        assert (await asks.post(f"{A}/pause")).status_code == 200
        assert (await asks.patch(A, json={"fps": 1})).status_code == 403


async def test_a_login_of_the_owner_goes_to_no_other_server(redis: RedisSettings, config: RaylineConfig) -> None:
    cameras = dict(config.cameras)
    cameras["c"] = cameras["c"].model_copy(update={"password_file": "/run/secrets/c"})
    cameras["b"] = cameras["b"].model_copy(update={"options": {"headers": "Authorization: x"}})
    async with api_client(redis, config.with_cameras(cameras)) as asks:
        for camera in ("b", "c"):
            path = f"/v1/cameras/{camera}"
            for url in ("rtsp://192.0.2.66:8554/c", "rtsp://127.0.0.1:8555/c", "http://127.0.0.1:8554/c"):
                answer = await asks.patch(path, json={"url": url})
                assert (answer.status_code, "server alone" in answer.json()["errors"][0]["message"]) == (422, True)
            assert (await asks.patch(path, json={"url": "rtsp://me@127.0.0.1:8554/other"})).status_code == 200
        told = (await asks.get("/v1/cameras/c")).json()["settings"]
        assert told["password_file"] == "***"


async def test_a_change_is_in_the_audit_log_with_who_asked_for_it(redis: RedisSettings, config: RaylineConfig) -> None:
    async with api_client(redis, config, authenticator=Always(Role.ENGINEER)) as asks:
        await asks.patch(A, json={"fps": 5}, headers={"x-request-id": "r-7"})
        await asks.patch(A, json={"fps": 6}, headers={"If-Match": '"old"'})
    client = connect(redis)
    [entry, _], _ = await AuditLog(client).read(10)
    await client.aclose()
    assert entry.by.model_dump() == {"name": "anna", "kind": "key", "role": "engineer", "address": "127.0.0.1"}
    assert (entry.request_id, entry.action, entry.target, entry.line) == ("r-7", "camera.set", "a", "l1")
    assert entry.changes["fps"].model_dump() == {"old": None, "new": 5}
