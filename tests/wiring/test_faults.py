"""What goes away comes back by itself, and costs no more than it must."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from pipeline.config import config_of_data
from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import StateStore, SystemReport
from pipeline.orchestrate.supervisor import start_supervisor
from tests.numbered import numbered_picture
from tests.redis_server import RedisServer, redis_server
from tests.wiring.processes import processes_called
from tests.wiring.running_line import Line, numbered_config, numbered_file, numbers, running_line

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(150)]


def cameras_of(server: RtspServer, *names: str) -> dict[str, dict[str, Any]]:
    for name in names:
        server.add_stream(name, StreamSettings(fps=10, width=320, height=192), _picture)
    return {name: {"url": server.url(name), "first_backoff_s": 0.2} for name in names}


@contextmanager
def live_camera(workshop: Path, keep: bool = False) -> Iterator[tuple[Line, RtspServer, RedisServer]]:
    """One live camera, `cam`, through the whole graph."""
    with RtspServer() as server, redis_server(workshop, keep=keep) as redis:
        config = numbered_config(redis.url, workshop, cameras_of(server, "cam"))
        with running_line(config) as line:
            yield line, server, redis


def test_cameras_come_pause_and_go_without_touching_the_others(local_ray: None, workshop: Path) -> None:
    with RtspServer() as server, redis_server(workshop) as redis:
        cameras = cameras_of(server, "stays", "leaves", "joins")
        joining = cameras.pop("joins")
        with running_line(numbered_config(redis.url, workshop, cameras)) as line:
            line.wait_for("both cameras", lambda: all(len(line.detections(c)) > 5 for c in cameras))
            _desire(redis.url, "add", "joins", joining)
            _desire(redis.url, "remove", "leaves")
            line.wait_for("the new camera", lambda: len(line.detections("joins")) > 5)
            _desire(redis.url, "pause", "joins")
            line.wait_for("the pause", lambda: _state_of(redis.url, "joins") == "paused")
            paused_at, left_at = len(line.detections("joins")), len(line.detections("leaves"))
            time.sleep(2)
            # Two batches may have been under way when it was told so.
            assert len(line.detections("joins")) <= paused_at + 2
            assert len(line.detections("leaves")) <= left_at + 2
            _desire(redis.url, "resume", "joins")
            line.wait_for("its return", lambda: len(line.detections("joins")) > paused_at + 10)
            stayed = line.detections("stays")
    assert lost_in(stayed) == 0


def test_redis_away_for_a_while_costs_a_live_camera_nothing(local_ray: None, workshop: Path) -> None:
    with live_camera(workshop, keep=True) as (line, _, redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
        redis.kill()
        time.sleep(3)
        redis.start()
        line.wait_for("all that waited", lambda: "spool_drained" in _told_of_system(line))
        before = len(line.detections("cam"))
        line.wait_for("frames after Redis came back", lambda: len(line.detections("cam")) > before + 20)
        messages, events = line.detections("cam"), line.events("cam")
    seen = numbers(messages)
    assert seen == sorted(set(seen))
    drained = [e["data"] for e in events if e["kind"] == "system" and e["data"]["what"] == "spool_drained"]
    assert sum(data["frames_waited"] for data in drained) >= 15  # of some 30 in 3 s
    assert [data["frames_dropped"] for data in drained] == [{}] * len(drained)
    assert lost_in(messages) == 0
    assert {reason for m in messages for reason in m["dropped_since_last"]} <= {"queue_full"}


@pytest.mark.slow
def test_a_track_replica_killed_while_redis_is_away_leaves_what_it_had_to_its_successor(
    local_ray: None, workshop: Path
) -> None:
    with live_camera(workshop, keep=True) as (line, _, redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
        redis.kill()
        time.sleep(3)
        before = _process("rayline:track").pid
        _kill("rayline:track")
        time.sleep(1)
        line.wait_for("its successor", lambda: _pids("rayline:track") not in ([], [before]), 60)
        time.sleep(5)
        redis.start()
        line.wait_for("all that waited", lambda: "spool_drained" in _told_of_system(line), 60)
        messages, events = line.detections("cam"), line.events("cam")
    seen = numbers(messages)
    assert seen == sorted(set(seen))
    assert lost_in(messages) == 0  # those of its restart are told
    drained = [e["data"] for e in events if e["kind"] == "system" and e["data"]["what"] == "spool_drained"]
    assert sum(data["frames_waited"] for data in drained) >= 20  # at a fifth of the rate it has on a quiet machine
    assert {reason for m in messages for reason in m["dropped_since_last"]} <= {"queue_full", "graph_unavailable"}


@pytest.mark.slow  # tests/e2e/test_chaos.py shows it in short
def test_redis_away_costs_a_file_nothing(local_ray: None, workshop: Path) -> None:
    clip = numbered_file(workshop / "numbers.mp4", 200)
    with redis_server(workshop, keep=True) as redis:
        config = numbered_config(redis.url, workshop, {"file": {"url": str(clip), "pace": "realtime"}})
        with running_line(config) as line:
            line.wait_for("frames", lambda: len(line.detections("file")) > 10)
            redis.kill()
            time.sleep(3)
            redis.start()
            line.wait_for("end of the file", line.rayline.all_ended, 60)
            messages = line.detections("file")
    assert numbers(messages) == list(range(200))
    assert len({m["message_id"] for m in messages}) == 200


def test_what_a_redis_lost_is_read_again_from_a_file_and_dated_as_before(local_ray: None, workshop: Path) -> None:
    clip = numbered_file(workshop / "numbers.mp4", 240)
    with redis_server(workshop, keep=True) as redis:
        config = numbered_config(redis.url, workshop, {"file": {"url": str(clip), "pace": "realtime"}})
        with running_line(config) as line:
            line.wait_for("frames", lambda: len(line.detections("file")) > 20)
            redis.remember()
            line.wait_for("more frames", lambda: len(line.detections("file")) > 80)
            lost = line.detections("file")
            redis.roll_back()
            line.wait_for("end of the file", line.rayline.all_ended, 60)
            messages = line.detections("file")
    assert numbers(messages) == list(range(240))
    assert [m["message_id"] for m in messages[: len(lost)]] == [m["message_id"] for m in lost]
    assert [m["captured_at"] for m in messages[: len(lost)]] == [m["captured_at"] for m in lost]


def test_a_killed_camera_server_is_reconnected_to_in_a_new_epoch(local_ray: None, workshop: Path) -> None:
    with live_camera(workshop) as (line, server, _redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
        server.kill()
        line.wait_for("the loss to be told", lambda: "reconnecting" in _states(line))
        server.revive()
        before = len(line.detections("cam"))
        line.wait_for("frames again", lambda: len(line.detections("cam")) > before + 10)
        messages = line.detections("cam")
    epochs = [m["source"]["position"].split("|")[1] for m in messages]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) >= 2  # more, if a busy machine left the server no time to answer
    seen = numbers(messages)
    assert seen == sorted(set(seen))


@pytest.mark.slow  # tests/e2e/test_chaos.py shows it in short
def test_a_killed_track_replica_is_replaced_and_the_line_goes_on(local_ray: None, workshop: Path) -> None:
    clip = numbered_file(workshop / "numbers.mp4", 300)
    with redis_server(workshop) as redis:
        config = numbered_config(redis.url, workshop, {"file": {"url": str(clip)}})
        with running_line(config) as line:
            line.wait_for("frames", lambda: len(line.detections("file")) > 20)
            _kill("rayline:track")
            line.wait_for("end of the file", line.rayline.all_ended, 60)
            messages = line.detections("file")
    assert numbers(messages) == list(range(300))
    assert len({m["message_id"] for m in messages}) == 300


def test_a_new_supervisor_adopts_the_readers_of_a_dead_one(local_ray: None, workshop: Path) -> None:
    with live_camera(workshop) as (line, _server, redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10 and _reader(redis.url) is not None)
        reader, began_at = _reader(redis.url), _report(redis.url).started_at  # type: ignore[union-attr]
        _kill("ray::Supervisor")
        line.wait_for("its successor's report", lambda: _reader(redis.url, after=began_at) is not None, 60)
        assert _reader(redis.url, after=began_at) == reader
        before = len(line.detections("cam"))
        line.wait_for("more frames", lambda: len(line.detections("cam")) > before + 10)
        messages = line.detections("cam")
    assert len({m["source"]["position"].split("|")[1] for m in messages}) == 1


def _picture(n: int) -> Any:
    return numbered_picture(n % 60_000, 320, 192)


def lost_in(messages: list[dict[str, Any]]) -> int:
    return sum(
        after["seq"] - before["seq"] - 1 - sum(after["dropped_since_last"].values())
        for before, after in itertools.pairwise(messages)
    )


def _desire(redis_url: str, what: str, *arguments: Any) -> None:
    async def change() -> None:
        redis = Redis.from_url(redis_url)
        try:
            await getattr(DesiredStore(redis), what)(*arguments)
        finally:
            await redis.aclose()

    asyncio.run(change())


def _report(redis_url: str) -> SystemReport | None:
    async def read() -> SystemReport | None:
        redis = Redis.from_url(redis_url)
        try:
            return await StateStore(redis).read()
        finally:
            await redis.aclose()

    return asyncio.run(read())


def _state_of(redis_url: str, camera: str) -> str | None:
    report = _report(redis_url)
    found = report.camera(camera) if report is not None else None
    return None if found is None else found.state


def _reader(redis_url: str, after: float = 0.0) -> int | None:
    """Process id of the one shard's reader, as told by a supervisor that began later than `after`."""
    report = _report(redis_url)
    if report is None or report.started_at <= after or not report.shards:
        return None
    return report.shards[0].pid


def _states(line: Line) -> list[str]:
    return [e["data"]["state"] for e in line.events("cam") if e["kind"] == "camera_state"]


def _told_of_system(line: Line) -> list[str]:
    return [e["data"]["what"] for e in line.events("cam") if e["kind"] == "system"]


def _kill(name: str) -> None:
    _process(name).kill()


def _pids(name: str) -> list[int]:
    return [process.pid for process in processes_called(name)]


def _process(name: str) -> psutil.Process:
    (found,) = processes_called(name)
    return found


def test_a_killed_reader_is_replaced_and_goes_on_in_the_same_run_of_its_file(local_ray: None, workshop: Path) -> None:
    clip = numbered_file(workshop / "numbers.mp4", 180)
    with redis_server(workshop) as redis:
        config = numbered_config(redis.url, workshop, {"file": {"url": str(clip), "pace": "realtime"}})
        with running_line(config) as line:
            line.wait_for("frames", lambda: len(line.detections("file")) > 30)
            _kill("ray::IngestActor")
            line.wait_for("end of the file", line.rayline.all_ended, 60)
            messages = line.detections("file")
    assert numbers(messages) == list(range(180))
    assert len({m["message_id"] for m in messages}) == 180


def test_a_camera_whose_settings_change_goes_on_and_does_not_end_the_line(local_ray: None, workshop: Path) -> None:
    with live_camera(workshop) as (line, _server, redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
        _desire(redis.url, "set", "cam", {"fps": 5})
        line.wait_for("a new epoch", lambda: len({_epoch(m) for m in line.detections("cam")}) == 2)
        before = len(line.detections("cam"))
        line.wait_for("frames at the new rate", lambda: len(line.detections("cam")) > before + 10)
        assert not line.rayline.all_ended()
        messages = line.detections("cam")
    seen = numbers(messages)
    assert seen == sorted(set(seen))


def _epoch(message: dict[str, Any]) -> str:
    return str(message["source"]["position"].split("|")[1])


def test_what_a_dead_up_left_running_is_ended_and_the_new_configuration_runs(local_ray: None, workshop: Path) -> None:
    old, new = (numbered_file(workshop / f"{name}.mp4", 60) for name in ("old", "new"))
    with redis_server(workshop) as redis:
        left = numbered_config(redis.url, workshop, {"old": {"url": str(old), "loop": True}})
        supervisor = start_supervisor(config_of_data(left, "test"))
        ray.get(supervisor.start.remote(), timeout=30)
        with running_line(numbered_config(redis.url, workshop, {"new": {"url": str(new)}})) as line:
            line.wait_for("end of the file", line.rayline.all_ended, 60)
            assert numbers(line.detections("new")) == list(range(60))
            report = _report(redis.url)
    assert report is not None
    assert [camera.camera for camera in report.cameras] == ["new"]
    assert len(report.run_id) == 32


def test_a_redis_that_comes_back_empty_is_told_again_and_a_dead_reader_is_replaced(
    local_ray: None, workshop: Path
) -> None:
    with live_camera(workshop) as (line, _server, redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10 and _reader(redis.url) is not None)
        reader, run_id = _reader(redis.url), _report(redis.url).run_id  # type: ignore[union-attr]
        redis.restart()
        line.wait_for("a report", lambda: _reader(redis.url) == reader)
        _kill("ray::IngestActor")
        line.wait_for("another reader", lambda: _reader(redis.url) not in (None, reader))
        before = len(line.detections("cam"))
        line.wait_for("frames again", lambda: len(line.detections("cam")) > before + 10)
        assert _report(redis.url).run_id == run_id  # type: ignore[union-attr]


def test_a_part_counter_is_read_on_by_the_successor_of_a_dead_supervisor(local_ray: None, workshop: Path) -> None:
    with RtspServer() as server, redis_server(workshop) as redis:
        config = numbered_config(redis.url, workshop, cameras_of(server, "cam"))
        config["lines"] = {"filling": {"recipe": "count", "part_counter": {"stream": "plc"}}}
        config["cameras"]["cam"]["line"] = "filling"
        with running_line(config) as line, SyncRedis.from_url(redis.url, decode_responses=True) as client:
            line.wait_for("the first look", lambda: _counted(client) == "0")
            client.xadd("plc", {"count": 5})
            line.wait_for("five parts", lambda: _counted(client) == "5")
            _kill("ray::Supervisor")
            client.xadd("plc", {"count": 2})
            line.wait_for("seven parts", lambda: _counted(client) == "7")


def _counted(client: SyncRedis) -> Any:
    return client.hget("rayline:{filling}:count", "counted")


def test_readers_of_a_supervisor_that_hangs_are_ended_with_it(
    local_ray: None, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.running.STOP_TIMEOUT_S", 1.0)
    with live_camera(workshop) as (line, _server, _redis):
        line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
        hung = _process("ray::Supervisor")
        hung.suspend()
    try:
        names = ("ray::IngestActor", "ray::Supervisor")
        line.wait_for("end of it", lambda: not any(processes_called(name) for name in names), 10)
    finally:
        with suppress(psutil.NoSuchProcess):
            hung.resume()
