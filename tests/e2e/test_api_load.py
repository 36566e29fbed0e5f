"""A crowd asks for detection while a line runs: all are answered or told when to come again, and the line goes on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
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
from tests.redis_server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(420)]

WARM_UP_S, BEFORE_S, CROWD_S = 10.0, 20.0, 60.0
CLIENTS = 200
LINES = ("line-1", "line-2")
FPS = 5.0  # of each camera, as in the demo
MOST_SLOWER = 1.5  # times the p95 without the crowd
_NO_LIMIT = "1000000/second"
_NICE = 10  # the crowd is on other machines as a rule, and takes none of this one's cores


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


@dataclass
class Crowd:
    """Clients that ask again as soon as they are answered, or when they were told to. Runs in a thread of its own."""

    url: str
    jpeg: bytes
    answers: Counter[str] = field(default_factory=Counter)
    took_ms: list[float] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Until then; what is under way is waited for."""
        thread = threading.Thread(target=self._run, args=(time.monotonic() + seconds,), name="crowd")
        thread.start()
        thread.join()

    def _run(self, until: float) -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        asyncio.run(self._ask_all(until))

    async def _ask_all(self, until: float) -> None:
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with (
            httpx.AsyncClient(base_url=self.url, limits=limits, timeout=60) as client,
            asyncio.TaskGroup() as all_,
        ):
            for _ in range(CLIENTS):
                all_.create_task(self._ask(client, until))

    async def _ask(self, client: httpx.AsyncClient, until: float) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                answer = await client.post("/v1/detect", files={"image": ("part.jpg", self.jpeg)})
            except httpx.HTTPError as exc:
                self.answers[repr(exc)] += 1
                continue
            self.answers[_kind(answer)] += 1
            if answer.status_code == 200:
                self.took_ms.append((time.monotonic() - began) * 1e3)
            await asyncio.sleep(min(float(answer.headers.get("retry-after", 0)), max(0.0, until - time.monotonic())))


def _kind(answer: httpx.Response) -> str:
    if answer.status_code == 503 and "retry-after" in answer.headers:
        return "503, come again"
    if answer.status_code == 200 and answer.json()["images"][0]["error"] is None:
        return "200"
    return f"{answer.status_code}: {answer.text[:200]}"


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
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()
    port, file = free_port(), tmp_path / "line.yaml"
    with farm(len(LINES), fps=15) as urls:
        file.write_text(yaml.safe_dump(config(urls, port)))
        with rayline.running("up", file) as up:
            up.wait_until_running()
            url = f"http://127.0.0.1:{port}"
            up.wait_for("readiness", lambda: httpx.get(f"{url}/readyz").status_code == 200, timeout_s=60)
            assert httpx.post(f"{url}/v1/detect", files={"image": ("part.jpg", jpeg)}, timeout=30).status_code == 200
            time.sleep(WARM_UP_S)
            since = time.time()
            time.sleep(BEFORE_S)
            began = time.time()
            crowd = Crowd(url, jpeg)
            crowd.run(CROWD_S)
            ended = time.time()
            before = latencies(rayline.redis_url(), since, began)
            during = latencies(rayline.redis_url(), began, ended)
            answered = httpx.get(f"{url}/healthz", timeout=10)
            up.interrupt()
            assert up.finish(30) == 0, up.output
    figures = {
        "answers": dict(crowd.answers),
        "answered_in_ms": percentiles(crowd.took_ms),
        "line_before_ms": percentiles(before) | {"frames": len(before)},
        "line_during_ms": percentiles(during) | {"frames": len(during)},
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(figures, indent=2)}\n")
    assert answered.status_code == 200
    assert set(crowd.answers) <= {"200", "503, come again"}, figures
    assert crowd.answers["200"] >= CROWD_S, figures  # at least one a second
    assert len(during) >= 0.9 * len(LINES) * FPS * CROWD_S, figures
    assert percentiles(during)["p95"] <= MOST_SLOWER * percentiles(before)["p95"], figures
