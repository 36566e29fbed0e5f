"""Clients that all ask the API for detection, as a process: `python -m tests.e2e.crowd URL JPEG SECONDS`.

They are on other machines as a rule, and take none of this one's cores. So this process asks the system to run it
behind everything else: by its nice value, and where the kernel groups processes by their session, by its group's too,
for there a nice value says nothing to another session. Its caller starts it in a session of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

CLIENTS = 200
_LAST = 19  # the lowest priority
_SLACK_S = 60.0  # what is under way when the time is over is waited for


@dataclass
class Crowd:
    """Clients that ask again as soon as they are answered, or when they were told to."""

    url: str
    jpeg: bytes
    answers: Counter[str] = field(default_factory=Counter)
    took_ms: list[float] = field(default_factory=list)

    async def ask(self, seconds: float) -> None:
        """Until then; what is under way is waited for."""
        until = time.monotonic() + seconds
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with (
            httpx.AsyncClient(base_url=self.url, limits=limits, timeout=_SLACK_S) as client,
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


def asked_by_a_crowd(url: str, jpeg: Path, seconds: float) -> dict[str, Any]:
    """`answers` by kind, and `took_ms` of each that was answered."""
    command = [sys.executable, "-m", "tests.e2e.crowd", url, str(jpeg), str(seconds)]
    done = subprocess.run(
        command, start_new_session=True, stdout=subprocess.PIPE, check=True, timeout=seconds + 2 * _SLACK_S
    )
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered


def _main(url: str, jpeg: str, seconds: str) -> None:
    if sys.platform == "linux":
        os.nice(_LAST)
        with contextlib.suppress(OSError):  # a kernel without groups, or one that lets nobody set them
            Path("/proc/self/autogroup").write_text(str(_LAST))
    crowd = Crowd(url, Path(jpeg).read_bytes())
    asyncio.run(crowd.ask(float(seconds)))
    sys.stdout.write(json.dumps({"answers": crowd.answers, "took_ms": crowd.took_ms}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
