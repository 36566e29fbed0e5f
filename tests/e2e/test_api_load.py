"""A crowd asks for detection while a line runs: all are answered or told when to come again, and the line goes on."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest
import yaml
from redis import Redis

from bench.cameras import farm
from bench.figures import percentiles
from pipeline.demo.dataset import HELD_OUT
from pipeline.demo.measure import pictures
from tests.e2e.command import Rayline
from tests.e2e.crowd import asked_by_a_crowd
from tests.redis_server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(420)]

WARM_UP_S, BEFORE_S, CROWD_S = 10.0, 20.0, 60.0
LINES = ("line-1", "line-2")
FPS = 5.0  # of each camera, as in the demo
MOST_SLOWER = 1.5  # times the p95 without the crowd
_NO_LIMIT = "1000000/second"


def config(urls: list[str], port: int) -> dict[str, Any]:
    """Two lines of one camera each."""
    cameras = {name: {"url": url, "line": name, "fps": FPS} for name, url in zip(LINES, urls, strict=True)}
    limits = dict.fromkeys(("per_principal", "detect", "per_address", "failed"), _NO_LIMIT)
    return {
        "redis": {"url": "embedded"},
        "api": {"port": port, "open_to_loopback": True, "rate_limits": limits},
        "models": {"bottles": {"weights": "builtin:bottles", "image_size": [256, 416]}},
        "recipes": {"bottles": {"model": "bottles"}},
        "lines": {name: {"recipe": "bottles"} for name in LINES},
        "cameras": cameras,
    }


def latencies(redis_url: str, since: float, until: float) -> list[float]:
    """Capture to publish, ms, of what both lines published in that time."""
    found: list[float] = []
    with Redis.from_url(redis_url) as client:
        for name in LINES:
            key = f"rayline:{{{name}}}:detections:{name}"
            entries: Any = client.xrange(key, min=int(since * 1000), max=int(until * 1000))
            found += [json.loads(fields[b"data"])["latency_ms"]["total"] for _, fields in entries]
    return found


def test_two_hundred_ask_and_the_line_hardly_notices(
    rayline: Rayline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rgb, _ = next(pictures(HELD_OUT + 700, 1))
    jpeg, file, port = tmp_path / "part.jpg", tmp_path / "line.yaml", free_port()
    cv2.imwrite(str(jpeg), rgb[..., ::-1])
    with farm(len(LINES), fps=15) as urls:
        file.write_text(yaml.safe_dump(config(urls, port)))
        with rayline.running("up", file) as up:
            up.wait_until_running()
            url = f"http://127.0.0.1:{port}"
            up.wait_for("readiness", lambda: httpx.get(f"{url}/readyz").status_code == 200, timeout_s=60)
            one = httpx.post(f"{url}/v1/detect", files={"image": ("part.jpg", jpeg.read_bytes())}, timeout=30)
            assert one.status_code == 200
            time.sleep(WARM_UP_S)
            since = time.time()
            time.sleep(BEFORE_S)
            began = time.time()
            crowd = asked_by_a_crowd(url, jpeg, CROWD_S)
            ended = time.time()
            before = latencies(rayline.redis_url(), since, began)
            during = latencies(rayline.redis_url(), began, ended)
            answered = httpx.get(f"{url}/healthz", timeout=10)
            up.interrupt()
            assert up.finish(30) == 0, up.output
    figures = {
        "answers": crowd["answers"],
        "answered_in_ms": percentiles(crowd["took_ms"]),
        "line_before_ms": percentiles(before) | {"frames": len(before)},
        "line_during_ms": percentiles(during) | {"frames": len(during)},
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(figures, indent=2)}\n")
    assert answered.status_code == 200
    assert set(crowd["answers"]) <= {"200", "503, come again"}, figures
    assert crowd["answers"]["200"] >= CROWD_S, figures  # at least one a second
    assert len(during) >= 0.9 * len(LINES) * FPS * CROWD_S, figures
    assert percentiles(during)["p95"] <= MOST_SLOWER * percentiles(before)["p95"], figures
