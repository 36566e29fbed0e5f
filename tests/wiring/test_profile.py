"""A frame's way through real processes is traced from one end to the other, and only while somebody asks."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.app import build_app
from pipeline.config import config_of_data
from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from pipeline.running import started
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.numbered_detect import NumberedReplica
from tests.wiring.running_line import Line, numbered_config

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(120)]

ROAD = [
    "capture", "decode", "queue", "send", "preprocess", "batch_wait", "infer", "boxes", "return", "turn", "to_track",
    "track", "publish",
]  # fmt: skip


def test_profile_shows_every_stage_of_a_running_line(local_ray: None, workshop: Path) -> None:
    with RtspServer() as server, redis_server(workshop) as redis:
        server.add_stream("cam", StreamSettings(fps=10, width=320, height=192), lambda n: numbered_picture(n, 320, 192))
        config = numbered_config(redis.url, workshop, {"cam": {"url": server.url("cam")}}, topology="split")
        config["observe"]["trace_sample"] = 0
        build = functools.partial(build_app, detect_wrapper=NumberedReplica)
        with started(config_of_data(config, "test"), build=build) as rayline:
            line, path = Line(rayline), workshop / "trace.json"
            line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
            arguments = ["profile", "--redis", redis.url, "--seconds", "4", "--sample", "1", "--trace", str(path)]
            result = CliRunner().invoke(cli.app, [*arguments, "--json"])
            latencies_ms = sorted(m["latency_ms"]["total"] for m in line.detections("cam")[-20:])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [stage["stage"] for stage in told["stages"]] == ROAD
    assert {stage["count"] for stage in told["stages"]} == {told["total"]["count"]}
    assert 5 <= told["total"]["count"] <= 40  # asked for after the start: at most 4 s of 10 frames/s
    assert sum(stage["share"] for stage in told["stages"]) == pytest.approx(1.0, abs=1e-3)
    assert told["total"]["p50_ms"] == pytest.approx(latencies_ms[10], rel=0.5, abs=20)
    processes = {e["args"]["name"] for e in json.loads(path.read_text())["traceEvents"] if e["name"] == "process_name"}
    assert {name.split(" ")[0] for name in processes} == {"camera", "ingest", "preprocess", "detect-numbers", "track"}
