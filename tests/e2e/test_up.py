"""`rayline up` from start to stop, in processes of its own: cameras by RTSP, files to their end, what cannot run."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
import pytest
from redis.asyncio import Redis

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from pipeline.demo.rtsp_server import RtspServer
from tests.e2e.command import Command, Rayline
from tests.e2e.conftest import CLIP_FRAMES
from tests.gst_rtsp import GstRtspServer
from tests.redis_server import redis_server

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(240)]

OURS, THEIRS = "s3cret-Kamera", "p@ss-w0rd!"  # passwords of our RTSP server and of Debian's
STOP_S = 10.0
FPS = 10.0


@pytest.fixture
def cameras() -> Iterator[tuple[str, str]]:
    """Addresses of the bottle line on our own server, and of a test picture on Debian's with digest login."""
    with ExitStack() as stack:
        ours = stack.enter_context(RtspServer(user="camera", password=OURS))
        renderer = Renderer(BottleLine(7))
        ours.add_stream("line", StreamSettings(fps=FPS), lambda n: renderer.render(8 + n / FPS))
        theirs = stack.enter_context(GstRtspServer(user="viewer", password=THEIRS, fps=10))
        yield ours.url("line"), theirs.url()


def test_cameras_given_by_address_are_seen_and_ctrl_c_leaves_nothing(
    rayline: Rayline, cameras: tuple[str, str]
) -> None:
    with rayline.running("up", *cameras) as up:
        up.wait_until_running()
        messages = consumed(rayline, "cam-1", 20)
        assert sum(o["label"] == "bottle" for m in messages for o in m["objects"]) > 20
        assert all(m["clock"] == "rtcp" for m in messages[-5:])
        assert [m["camera"] for m in consumed(rayline, "cam-2", 5)] == ["cam-2"] * 5
        status = rayline.run("status", "--once", "--json")
        report = json.loads(status.stdout)["report"]
        states = {c["camera"]: c["state"] for c in report["cameras"]}
        assert {name: state.lower() for name, state in states.items()} == {"cam-1": "running", "cam-2": "running"}
        ready = {stage["stage"]: (stage["running"], stage["wanted"]) for stage in report["stages"]}
        assert ready == {"detect-detector": (1, 1), "track": (1, 1)}
        (shard,) = report["shards"]
        assert shard["model"] == "detector"
        assert 1 <= shard["batch_frames"] <= shard["batch_most"]
        table = rayline.run("status", "--once")
        listed = rayline.run("cameras", "list")
        assert "cam-1" in table.stdout
        stored = asyncio.run(everything_in(rayline.redis_url()))
        assert len(up.started()) > 10  # Redis, Ray's own, the graph, supervisor, reader: the count works
        up.interrupt()
        assert up.finish(STOP_S) == 0, up.output
        up.assert_nothing_left()
        assert not rayline.note.exists()
    assert "Traceback" not in up.output
    said = "\n".join([*(c.output for c in (up, status, table, listed)), *map(json.dumps, messages), stored])
    for password in (OURS, THEIRS, quote(THEIRS, safe="")):
        assert password not in said


def test_a_clip_runs_to_its_end_and_its_annotated_copy_has_every_frame(
    rayline: Rayline, clip: Path, tmp_path: Path
) -> None:
    annotated = tmp_path / "annotated.mp4"
    with redis_server(tmp_path) as redis:
        done = rayline.run("up", clip, "--save", annotated, "--redis", redis.url, timeout_s=120)
        assert done.process.returncode == 0, done.output
        follow = ("consume", "detections", "--from", "start", "--json", "--redis", redis.url)
        messages = rayline.run(*follow, "--count", "1000", "--timeout", "2").stdout.splitlines()
    assert len(messages) == CLIP_FRAMES
    assert sum(len(json.loads(message)["objects"]) for message in messages) > CLIP_FRAMES
    source, drawn = pictures(clip), pictures(annotated)
    assert len(drawn) == len(source) == CLIP_FRAMES
    assert all(np.mean(np.abs(a.astype(int) - b) > 60) > 0.001 for a, b in zip(source, drawn, strict=True))


def test_sigterm_ends_it_as_ctrl_c_does_and_the_annotated_video_is_whole(
    rayline: Rayline, cameras: tuple[str, str], tmp_path: Path
) -> None:
    annotated = tmp_path / "annotated.mp4"
    with rayline.running("up", cameras[0], "--save", annotated) as up:
        up.wait_until_running()
        consumed(rayline, "cam-1", 40)
        up.process.send_signal(signal.SIGTERM)  # as a service manager does: to the command alone
        assert up.finish(STOP_S) == 0, up.output
        up.assert_nothing_left()
        assert not rayline.note.exists()
    assert len(pictures(annotated)) >= 40
    assert "Traceback" not in up.output
    assert "SIGTERM received" not in up.output  # Ray's own words for it


def test_sigterm_while_it_starts_leaves_nothing(rayline: Rayline, clip: Path) -> None:
    with rayline.running("up", clip) as up:
        up.wait_for("Redis", lambda: any(process.name() == "redis-server" for process in up.started()), 30)
        up.process.send_signal(signal.SIGTERM)
        up.finish(STOP_S)
        up.assert_nothing_left()


def test_what_only_the_replica_can_find_out_is_one_sentence_too(rayline: Rayline, clip: Path) -> None:
    refused = rayline.run("up", clip, "--labels", "botle", timeout_s=120)
    assert refused.process.returncode == 1
    assert "Traceback" not in refused.output
    assert "bottles.pt: the model knows no class 'botle' (did you mean 'bottle'?)" in refused.stderr
    assert not rayline.note.exists()


def test_two_run_beside_each_other(rayline: Rayline, clip: Path, cameras: tuple[str, str], tmp_path: Path) -> None:
    """The second has a Redis and a Ray of its own; `status` finds the newest, and the other by its address."""
    with rayline.running("up", cameras[0]) as first:
        first.wait_until_running()
        first_url = rayline.redis_url()
        second = rayline.run("up", clip, timeout_s=120)
        assert second.process.returncode == 0, second.output
        assert first.process.poll() is None, first.output
        report = rayline.json("status", "--once", "--json", "--redis", first_url)["report"]
        assert [c["state"].lower() for c in report["cameras"]] == ["running"]
        first.interrupt()
        assert first.finish(STOP_S) == 0, first.output
        first.assert_nothing_left()


def consumed(rayline: Rayline, camera: str, count: int) -> list[dict[str, Any]]:
    """What `rayline consume` prints, which finds the Redis by itself."""
    follow = ("consume", "detections", "--camera", camera, "--json", "--from", "start")
    done: Command = rayline.run(*follow, "--count", str(count), "--timeout", "30", timeout_s=40)
    assert done.process.returncode == 0, done.output
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(messages) == count
    return messages


async def everything_in(url: str) -> str:
    """All keys and values of a Redis, but for what is desired: that holds addresses as they were given."""
    found: list[object] = []
    async with Redis.from_url(url) as client:
        async for key in client.scan_iter("*"):
            found.append(key)
            if key.startswith(b"rayline:desired"):
                continue
            match await client.type(key):
                case b"stream":
                    found.append(await client.xrange(key))
                case b"hash":
                    found.append(await client.hgetall(key))
                case b"string":
                    found.append(await client.get(key))
                case other:
                    raise AssertionError(f"{key!r} is a {other!r}, which this test does not look into")
    assert len(found) > 4
    return repr(found)


def pictures(path: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Every frame, (H, W, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]
