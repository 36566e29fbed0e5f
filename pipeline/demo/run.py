"""`rayline demo`: bottle lines streamed over RTSP, judged by the whole pipeline, and held against the truth."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from pydantic import SecretStr
from rich.console import Console

from pipeline.config import RaylineConfig, load_config
from pipeline.demo.line import BottleLine
from pipeline.demo.tally import CameraRecord, accepted, summary
from pipeline.local_ray import free_port, is_free
from pipeline.running import noted, started
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.reader import Entry, StreamReader
from pipeline.sinks.redis_client import RedisSettings
from stages.errors import RaylineError

logger = logging.getLogger(__name__)

SERVER_READY_S = 60.0
FIRST_FRAME_S = 180.0  # the first start exports the model for this machine
LAST_ANSWERS_S = 5.0
CAMERAS, FPS = 2, 12.0


class DemoFailed(RaylineError):
    """The demo could not come so far as to judge anything."""


def run_demo(duration_s: float | None, json_path: Path | None, seed: int, console: Console) -> int:
    """Run until Ctrl-C or for `duration_s` from the first frame on; 0 when every counted part was judged right.

    Without a duration it is a look at the line: Ctrl-C ends it with the tally, and always with 0.
    """
    try:
        figures = _judged(duration_s, seed, console)
    except KeyboardInterrupt:  # while it was starting, or a second one while it was stopping
        console.print("Stopped.")
        return 0
    _tell(figures, console)
    if json_path is not None:
        json_path.write_text(json.dumps(figures, indent=2) + "\n")
    if duration_s is None:
        return 0
    return 0 if accepted(figures) else 1


def _judged(duration_s: float | None, seed: int, console: Console) -> dict[str, Any]:
    """The whole run; its figures when everything has stopped."""
    with _cameras(seed) as cameras, TemporaryDirectory(prefix="rayline-demo-", ignore_cleanup_errors=True) as pictures:
        config = _config(cameras, pictures)
        records = {
            name: CameraRecord(BottleLine(told["seed"]), told["started_at"], FPS) for name, told in cameras.items()
        }
        console.print(f"Starting Rayline: {len(cameras)} cameras of a bottle line, {FPS:.0f} frames/s each ...")
        with started(config) as rayline:
            console.print(f"Running; results are in {rayline.redis_url}.")
            if config.api is not None:
                console.print(f"HTTP API: {config.api.url}/v1/cameras, open to everybody on this machine, no token")
            if config.dashboard is not None:
                console.print(config.dashboard.told, markup=False, soft_wrap=True)
            console.print("In another terminal:")
            console.print("  rayline status     rayline consume inspections     (Ctrl-C here stops all)")
            watcher = Watcher(rayline.redis_url, records, console)
            with noted(rayline), watcher.watching():
                _wait(watcher, duration_s)
                console.print("Stopping ...")
    return summary(records, watcher.captured_at)


class Watcher:
    """Follows the streams as any consumer would, on a thread of its own."""

    def __init__(self, redis_url: str, records: Mapping[str, CameraRecord], console: Console) -> None:
        self._settings = RedisSettings(url=SecretStr(redis_url))
        self._records = records
        self._console = console
        self._stop = threading.Event()
        self._last_entry = time.monotonic()
        self.first_frame = threading.Event()
        self.captured_at: dict[str, float] = {}  # of inspections, by message id

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watches inside the block, and on leaving until nothing more comes."""
        thread = threading.Thread(target=lambda: asyncio.run(self._follow()), name="demo-watcher", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(LAST_ANSWERS_S + 2)

    async def _follow(self) -> None:
        async with StreamReader(self._settings) as reader:
            while not self._stop.is_set():
                with suppress(SinkUnavailable):
                    await self._tail(reader)

    async def _tail(self, reader: StreamReader) -> None:
        tail = reader.tail(["rayline:{*}:detections:*", "rayline:{*}:inspections"], "0", rescan_s=0.5)
        task = asyncio.create_task(self._drain(tail))
        while not task.done() and not self._stop.is_set():
            await asyncio.wait([task], timeout=0.2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _drain(self, tail: Any) -> None:
        async for entry in tail:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        message = orjson.loads(entry.data)
        record = self._records.get(message["camera"])
        if record is None:
            return
        self._last_entry = time.monotonic()
        if ":detections:" in entry.stream:
            record.saw_frame(message, _unix(message["captured_at"]))
            self.first_frame.set()
        elif message["kind"] == "inspection":
            self.captured_at[message["message_id"]] = _unix(message["captured_at"])
            record.saw_inspection(message)
            self._console.print(_line_of(message), highlight=False, no_wrap=True, overflow="ellipsis")


@contextmanager
def _cameras(seed: int) -> Iterator[dict[str, Any]]:
    """The demo's RTSP server in a process of its own; it ends when its standard input does."""
    command = [sys.executable, "-m", "pipeline.demo.server", f"--cameras={CAMERAS}", f"--fps={FPS}", f"--seed={seed}"]
    server = subprocess.Popen(  # noqa: S603 - ours
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us: the cameras go last, or their end would be told as a loss
    )
    try:
        yield _told(server)
    finally:
        assert server.stdin is not None  # noqa: S101 - asked for above
        server.stdin.close()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _told(server: subprocess.Popen[str]) -> dict[str, Any]:
    lines: list[str] = []
    assert server.stdout is not None  # noqa: S101 - asked for above
    reader = threading.Thread(target=lambda: lines.append(server.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(SERVER_READY_S)
    if not lines or not lines[0]:
        raise DemoFailed(f"the demo's RTSP server did not come up in {SERVER_READY_S:.0f} s")
    told: dict[str, Any] = json.loads(lines[0])
    return told


def _config(cameras: Mapping[str, Any], pictures: str) -> RaylineConfig:
    """configs/demo.yaml, with the cameras' addresses of this run and the folder for its parts' pictures."""
    environ = {f"RAYLINE_DEMO_{name.upper().replace('-', '_')}": told["url"] for name, told in cameras.items()}
    environ["RAYLINE_DEMO_SNAPSHOTS"] = pictures
    with resources.as_file(resources.files("configs").joinpath("demo.yaml")) as path:
        return _beside_another(load_config(path, environ))


def _beside_another(config: RaylineConfig) -> RaylineConfig:
    """With free ports for metrics, API and page where the usual ones are taken: two demos may run side by side."""
    port, api, page = config.observe.metrics_port, config.api, config.dashboard
    if port is not None and not is_free(port):
        config = config.model_copy(update={"observe": config.observe.model_copy(update={"metrics_port": None})})
    if api is not None and not is_free(api.port):
        config = config.model_copy(update={"api": api.model_copy(update={"port": free_port()})})
    if page is not None and not is_free(page.port):
        config = config.model_copy(update={"dashboard": page.model_copy(update={"port": free_port()})})
    return config


def _wait(watcher: Watcher, duration_s: float | None) -> None:
    """Ctrl-C ends it; else the duration, counted from the first published frame."""
    with suppress(KeyboardInterrupt):
        if not watcher.first_frame.wait(FIRST_FRAME_S):
            raise DemoFailed(f"no frame was published within {FIRST_FRAME_S:.0f} s; `rayline doctor` may tell why")
        threading.Event().wait(duration_s)


def _unix(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()


_COLOURS = {"pass": "green", "reject": "red", "indeterminate": "yellow"}


def _line_of(message: Mapping[str, Any]) -> str:
    """One verdict, the reasons last: they may be cut off where a terminal is narrow."""
    colour = _COLOURS[message["verdict"]]
    seen = message["votes"].get("usable", 0)
    return (
        f"{message['captured_at'][11:19]}  {message['camera']:<7} #{message['track_id']:<4} "
        f"[{colour}]{message['verdict'].upper():<13}[/] {seen:>3} seen {message['latency_ms']:>5.0f} ms  "
        f"{', '.join(message['reasons'])}"
    )


def _tell(figures: Mapping[str, Any], console: Console) -> None:
    console.rule("What was judged, against what was there")
    for name in (
        "parts_truth",
        "parts_inspected",
        "verdicts_correct",
        "rejects_truth",
        "rejects_found",
        "indeterminate",
        "false_pass",
        "duplicates",
        "touching_pairs_truth",
        "frames_published",
        "frames_dropped",
        "latency_ms",
    ):
        console.print(f"{name:>22}  {figures[name]}")
