"""The server Rayline starts for itself."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.sinks.embedded_redis import EmbeddedRedis, find_binary
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from tests.redis_server import BINARIES
from tests.services.redis.writes import live, write

pytestmark = pytest.mark.services

_OWNER = """
import sys, time
from pipeline.sinks.embedded_redis import EmbeddedRedis
server = EmbeddedRedis(sys.argv[1]).start()
try:
    print(server.pid, server.port, flush=True)  # inside: the signal may come as soon as this is read
    time.sleep(600)
except KeyboardInterrupt:
    print("alive" if __import__("psutil").pid_exists(server.pid) else "gone", flush=True)
    server.close()
    print("stopped", flush=True)
"""


def _owner(directory: Path) -> tuple[subprocess.Popen[str], int, int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(directory)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    pid, port = owner.stdout.readline().split()
    return owner, int(pid), int(port)


async def _write_one(server: EmbeddedRedis, prev: str | None, new: str) -> None:
    async with RedisStreams(RedisSettings(url=server.url)) as streams:
        await streams.write([write("l", prev, new)])


async def _cursor(server: EmbeddedRedis) -> str | None:
    async with RedisStreams(RedisSettings(url=server.url)) as streams:
        return (await streams.load("cam", "l")).cursor


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the server is still there"
            time.sleep(0.01)


@pytest.mark.parametrize("binary", BINARIES.values(), ids=BINARIES)
async def test_it_takes_writes_and_leaves_nothing_behind(binary: str) -> None:
    server = EmbeddedRedis(binary=binary).start()
    pid = server.pid
    assert pid is not None
    await _write_one(server, None, live(1))
    folder = psutil.Process(pid).cwd()
    server.close()
    server.close()
    assert not psutil.pid_exists(pid)
    assert not os.path.exists(folder)  # noqa: ASYNC240, PTH110 - a look, once
    with pytest.raises(SinkUnavailable, match="not started"):
        _ = server.url


@pytest.mark.parametrize("binary", BINARIES.values(), ids=BINARIES)
async def test_with_a_folder_it_finds_its_data_again(tmp_path: Path, binary: str) -> None:
    with EmbeddedRedis(tmp_path / "with space", binary=binary) as server:
        await _write_one(server, None, live(1))
    with EmbeddedRedis(tmp_path / "with space", binary=binary) as server:
        assert await _cursor(server) == live(1)


async def test_it_listens_on_this_machine_only() -> None:
    with EmbeddedRedis() as server:
        listening = [c.laddr for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", server.port)]


async def test_several_stand_side_by_side() -> None:
    with EmbeddedRedis() as one, EmbeddedRedis() as other:
        assert one.port != other.port


async def test_its_memory_can_be_limited() -> None:
    with EmbeddedRedis(maxmemory_mb=64) as server:
        client = connect(RedisSettings(url=server.url))
        assert (await client.config_get("maxmemory"))["maxmemory"] == str(64 * 1024 * 1024)
        await client.aclose()


def test_a_port_in_use_is_told_in_words() -> None:
    with EmbeddedRedis() as server, pytest.raises(SinkUnavailable, match="in use"):
        EmbeddedRedis(port=server.port).start()


def _slow_binary(directory: Path) -> str:
    binary = directory / "redis-server"
    binary.write_text(f'#!/bin/sh\nsleep 0.5\nexec {find_binary()} "$@"\n')
    binary.chmod(0o755)
    return str(binary)


def test_another_server_on_the_port_is_not_taken_for_one_that_starts_slowly(tmp_path: Path) -> None:
    with EmbeddedRedis() as other, pytest.raises(SinkUnavailable, match="in use"):
        EmbeddedRedis(port=other.port, binary=_slow_binary(tmp_path)).start()


async def test_one_that_starts_slowly_is_waited_for(tmp_path: Path) -> None:
    with EmbeddedRedis(binary=_slow_binary(tmp_path)) as server:
        await _write_one(server, None, live(1))
        assert await _cursor(server) == live(1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "cannot be run here", id="missing"),
        pytest.param("#!/bin/sh\necho wrong machine; exit 3\n", "code 3: wrong machine", id="ends at once"),
    ],
)
def test_a_binary_that_cannot_run_is_told_in_words(tmp_path: Path, content: str | None, says: str) -> None:
    binary = tmp_path / "redis-server"
    if content is not None:
        binary.write_text(content)
        binary.chmod(0o755)
    with pytest.raises(SinkUnavailable, match=says):
        EmbeddedRedis(binary=str(binary)).start()


def test_one_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    binary = tmp_path / "redis-server"
    binary.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    binary.chmod(0o755)
    with pytest.raises(SinkUnavailable, match="not ready within 3 s"):
        EmbeddedRedis(binary=str(binary), start_timeout_s=3).start()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_two_never_write_to_the_same_folder(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path), pytest.raises(SinkUnavailable, match=f"in use by the rayline of pid {os.getpid()}"):
        EmbeddedRedis(tmp_path).start()


def test_a_frozen_one_is_stopped_too() -> None:
    server = EmbeddedRedis(stop_timeout_s=2).start()
    assert server.pid is not None
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.close()
    assert not psutil.pid_exists(pid)


def test_ctrl_c_reaches_the_owner_alone_which_then_stops_it(tmp_path: Path) -> None:
    owner, pid, _ = _owner(tmp_path)
    os.killpg(owner.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
    said, _ = owner.communicate(timeout=60)
    assert said.split() == ["alive", "stopped"]
    _wait_until_gone(pid)


async def test_what_outlived_a_killed_owner_is_stopped_by_the_next_one_and_its_data_kept(tmp_path: Path) -> None:
    owner, pid, port = _owner(tmp_path)
    async with RedisStreams(RedisSettings(url=f"redis://127.0.0.1:{port}")) as streams:
        await streams.write([write("l", None, live(1))])
    owner.kill()
    owner.communicate(timeout=60)
    assert psutil.pid_exists(pid)
    with EmbeddedRedis(tmp_path) as server:
        _wait_until_gone(pid)
        assert await _cursor(server) == live(1)
