"""`up` relays what it publishes, and goes on doing so when the relays' process dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import orjson
import pytest
import ray

from pipeline.orchestrate.relay_keeper import relays_there
from pipeline.orchestrate.state import RelayReport, StateStore
from pipeline.relays.jsonl_sink import files_of
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.redis_server import redis_server
from tests.wiring.running_line import numbered_config, numbered_file, running_line

pytestmark = [pytest.mark.ray, pytest.mark.services]


def relayed(folder: Path) -> list[str]:
    return [
        orjson.loads(line)["message_id"]
        for path in files_of(folder, "detections")
        for line in path.read_bytes().splitlines()
    ]


def report(redis_url: str, after: float = 0.0) -> RelayReport | None:
    """Of the one relay, by a supervisor that began later than `after`."""

    async def read() -> RelayReport | None:
        client = connect(RedisSettings(url=redis_url))  # type: ignore[arg-type]
        try:
            told = await StateStore(client).read()
        finally:
            await client.aclose()
        return told.relays[0] if told is not None and told.started_at > after and told.relays else None

    return asyncio.run(read())


def relays_pid() -> int:
    return int(ray.get(relays_there().report.remote()).pid)


@pytest.mark.usefixtures("local_ray")
def test_up_relays_what_it_publishes_whatever_becomes_of_the_relays_process_and_the_supervisor(
    tmp_path: Path, workshop: Path
) -> None:
    out = tmp_path / "out"
    video = numbered_file(tmp_path / "numbers.mp4", 60)
    with redis_server(tmp_path) as server:
        config = numbered_config(server.url, workshop, {"cam": {"url": str(video), "loop": True, "pace": "realtime"}})
        config["relays"] = {"disk": {"kind": "jsonl", "folder": str(out)}}
        with running_line(config) as line:
            line.wait_for("relayed detections", lambda: len(relayed(out)) > 30)
            os.kill(relays_pid(), signal.SIGKILL)
            line.wait_for("a new process", lambda: (told := report(server.url)) is not None and told.restarts == 1)
            already = len(relayed(out))
            line.wait_for("more relayed", lambda: len(relayed(out)) > already + 30)
            pid, killed_at = relays_pid(), time.time()
            ray.kill(line.rayline.supervisor, no_restart=False)
            line.wait_for("its successor", lambda: report(server.url, killed_at) is not None)
            assert relays_pid() == pid
            assert (told := report(server.url, killed_at)) is not None
            assert (told.relay, told.kind, told.state) == ("disk", "jsonl", "running")
        assert relays_there() is None
        published = [message["message_id"] for message in line.detections("cam")]
        assert list(dict.fromkeys(relayed(out))) == published  # what was published last is there too
