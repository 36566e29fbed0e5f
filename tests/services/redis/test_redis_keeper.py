"""An embedded Redis that dies comes back by itself."""

import os
import signal
import time
from pathlib import Path

import pytest

from pipeline.sinks.embedded_redis import EmbeddedRedis
from pipeline.sinks.redis_keeper import RedisKeeper
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from tests.services.redis.writes import live, write

pytestmark = pytest.mark.services


async def test_a_server_that_was_killed_is_back_on_its_port_with_what_it_kept(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, RedisKeeper(server):
        url, first = server.url, server.pid
        async with RedisStreams(RedisSettings(url=url)) as streams:
            await streams.write([write("l", None, live(1))])
        _kill(first)
        _until_another_than(first, server)
        assert server.url == url
        async with RedisStreams(RedisSettings(url=url)) as streams:
            assert (await streams.load("cam", "l")).cursor == live(1)


def test_one_that_was_stopped_stays_so(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path).start()
    with RedisKeeper(server):
        pass
    server.close()
    assert server.revive() is False
    assert server.pid is None


def test_one_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with EmbeddedRedis(tmp_path / "data") as server, RedisKeeper(server):
        first = server.pid
        server._binary = "/nonexistent"
        _kill(first)
        time.sleep(1.2)
        assert server.pid == first
        server._binary = None
        _until_another_than(first, server)


def test_one_whose_place_gives_trouble_is_tried_on_and_that_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "redis.log"
    with EmbeddedRedis(tmp_path) as server, RedisKeeper(server):
        first = server.pid
        log.rename(tmp_path / "kept.log")
        log.mkdir()  # no file can be opened there, as on a disk that is full or gone
        _kill(first)
        while "is tried on" not in caplog.text:  # pytest's own limit ends this
            time.sleep(0.05)
        time.sleep(1.2)  # another try
        assert server.pid == first
        log.rmdir()
        _until_another_than(first, server)
    assert [r.levelname for r in caplog.records if "is tried on" in r.message] == ["ERROR"]
    assert [r.levelname for r in caplog.records if "ended with -9" in r.message] == ["WARNING"]


def test_what_a_server_said_before_it_died_is_told_and_stays_in_its_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedRedis(tmp_path) as server, RedisKeeper(server):
        first = server.pid
        _kill(first)
        _until_another_than(first, server)
        assert f"{first}:M " in (tmp_path / "redis.log").read_text()
    (told,) = [r.message for r in caplog.records if "ended with -9" in r.message]
    assert "Ready to accept connections" in told


def _kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def _until_another_than(pid: int | None, server: EmbeddedRedis) -> None:
    deadline = time.monotonic() + 60
    while server.pid == pid:
        assert time.monotonic() < deadline, "it did not come back"
        time.sleep(0.05)
