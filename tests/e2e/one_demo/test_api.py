"""The HTTP API through all of it, while the demo runs: Serve and its proxy, cameras by RTSP, the model."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from redis import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from pipeline.demo.dataset import HELD_OUT
from pipeline.demo.measure import pictures
from tests.e2e.command import Command, Rayline
from tests.services.api.listening import Heard, Listener
from tests.services.api.mjpeg import is_jpeg, parts

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(300)]

BOTH = {"line-1", "line-2"}
SIZE = (640, 360)
STRANGER = "https://elsewhere.example"


def cameras(api: httpx.Client) -> dict[str, dict[str, Any]]:
    """By name."""
    answer = api.get("/v1/cameras")
    assert answer.status_code == 200, answer.text
    return {camera["name"]: camera for camera in answer.json()["cameras"]}


def wait_for_state(api: httpx.Client, camera: str, state: str, timeout_s: float = 15.0) -> dict[str, Any]:
    """The camera, once the API tells it is so."""
    deadline = time.monotonic() + timeout_s
    while (told := cameras(api)[camera])["state"] != state:
        assert time.monotonic() < deadline, f"not {state} within {timeout_s:.0f} s: {told}"
        time.sleep(0.2)
    return told


def test_it_is_ready_and_both_cameras_run(demo: Command, api: httpx.Client) -> None:
    demo.wait_for("readiness", lambda: api.get("/readyz").status_code == 200, timeout_s=20)
    assert cameras(api).keys() == BOTH
    for name in BOTH:
        told = wait_for_state(api, name, "running")
        assert (told["line"], told["size"], told["in_force"]) == (name, list(SIZE), True)
    assert "bottles@" not in api.get("/v1/cameras").text  # their password


def test_a_snapshot_is_a_jpeg_of_the_cameras_size(api: httpx.Client) -> None:
    answer = api.get("/v1/cameras/line-1/snapshot")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (SIZE[1], SIZE[0], 3)


async def test_live_pictures_come_as_mjpeg_and_through_a_websocket(url: str) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=url, timeout=15) as asks:
        shown = []
        async with asks.stream("GET", "/v1/cameras/line-1/live?fps=10") as answer:
            async for headers, jpeg in parts(answer):
                assert is_jpeg(jpeg)
                shown.append(int(headers["X-Rayline-Seq"]))
                if len(shown) == 3:
                    break
    assert shown == sorted(set(shown))
    async with asyncio.timeout(30), connect(f"{url.replace('http', 'ws')}/v1/cameras/line-2/live?fps=10") as socket:
        seqs: list[int] = []
        while len(seqs) < 3:
            told = json.loads(await socket.recv())
            if told["type"] == "picture":
                picture = await socket.recv(decode=False)
                assert is_jpeg(picture)
                assert (told["width"], told["height"], told["size"]) == (*SIZE, len(picture))
                seqs.append(told["seq"])
    assert seqs == sorted(set(seqs))


def test_a_listener_who_comes_again_has_every_inspection_once(rayline: Rayline, url: str) -> None:
    listener = Listener(f"{url}/v1/stream/inspections", line="line-1")
    heard = asyncio.run(_heard(listener, 1))
    published = len(_inspections(rayline, "line-1"))
    while len(_inspections(rayline, "line-1")) < published + 2:  # nobody listens meanwhile
        time.sleep(0.2)
    heard += asyncio.run(_heard(listener, 3))
    assert {one.kind for one in heard} == {"inspection"}
    ids = [one.data["message_id"] for one in heard]
    stored = _inspections(rayline, "line-1")
    begun = stored.index(ids[0])
    assert ids == stored[begun : begun + 4]


async def _heard(listener: Listener, count: int) -> list[Heard]:
    async with asyncio.timeout(30), listener.connected() as events:
        return [await anext(events) for _ in range(count)]


def _inspections(rayline: Rayline, line: str) -> list[str]:
    """Ids of all messages so far, as Redis has them."""
    with Redis.from_url(rayline.redis_url()) as client:
        entries: Any = client.xrange(f"rayline:{{{line}}}:inspections")
    return [json.loads(fields[b"data"])["message_id"] for _, fields in entries]


def test_detection_on_request_finds_the_bottles_of_a_picture(api: httpx.Client) -> None:
    rgb, truth = next(pictures(HELD_OUT + 700, 1))
    whole = [box.xyxy for box in truth if box.label == "bottle" and box.visible > 0.9]
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()
    answer = api.post("/v1/detect", files={"image": ("belt.jpg", jpeg)})
    assert answer.status_code == 200, answer.text
    (told,) = answer.json()["images"]
    assert (told["size"], told["error"]) == ({"width": SIZE[0], "height": SIZE[1]}, None)
    found = [one["box"] for one in told["objects"] if one["label"] == "bottle"]
    assert len(whole) >= 2
    for box in whole:
        assert min(max(abs(a - b) for a, b in zip(box, other, strict=True)) for other in found) < 12


def test_a_page_from_elsewhere_is_refused(api: httpx.Client, url: str) -> None:
    assert api.get("/v1/cameras", headers={"Origin": STRANGER}).status_code == 403
    assert api.post("/v1/cameras/line-1/pause", headers={"Origin": STRANGER}).status_code == 403
    assert not cameras(api)["line-1"]["paused"]

    async def watch() -> None:
        async with connect(f"{url.replace('http', 'ws')}/v1/cameras/line-1/live", origin=STRANGER):  # type: ignore[arg-type]
            pass

    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(watch())


def test_a_key_pauses_its_lines_camera_and_the_audit_log_says_whose_it_was(rayline: Rayline, api: httpx.Client) -> None:
    made = rayline.json("token", "make", "shift-lead", "--role", "operator", "--line", "line-2", "--json")
    key = {"X-API-Key": made["key"]}
    assert [camera["name"] for camera in api.get("/v1/cameras", headers=key).json()["cameras"]] == ["line-2"]
    assert api.post("/v1/cameras/line-1/pause", headers=key).status_code == 404
    assert api.get("/v1/audit", headers=key).status_code == 403
    assert api.get("/v1/cameras", headers={"X-API-Key": made["key"][:-1] + "!"}).status_code == 401

    assert api.post("/v1/cameras/line-2/pause", headers=key).status_code == 200
    wait_for_state(api, "line-2", "paused")
    snapshot = api.get("/v1/cameras/line-2/snapshot")
    assert (snapshot.status_code, "paused" in snapshot.text) == (503, True)
    assert cameras(api)["line-1"]["state"] == "running"
    assert api.post("/v1/cameras/line-2/resume", headers=key).status_code == 200
    wait_for_state(api, "line-2", "running")

    newest, before = api.get("/v1/audit", params={"limit": 2}).json()["entries"]
    assert [(each["action"], each["target"]) for each in (newest, before)] == [
        ("camera.resume", "line-2"),
        ("camera.pause", "line-2"),
    ]
    assert (newest["by"]["name"], newest["by"]["kind"], newest["by"]["role"]) == ("shift-lead", "key", "operator")
