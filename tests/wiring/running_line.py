"""A whole Rayline on the session's Ray, reading numbered pictures; and what it published."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import orjson
from pydantic import SecretStr

from pipeline.app import build_app
from pipeline.config import config_of_data
from pipeline.running import Rayline, started
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisSettings
from tests.numbered import numbered_picture
from tests.numbered_model import number_of
from tests.wiring.numbered_detect import NumberedDetect, NumberedFused

Messages = list[dict[str, Any]]


def numbered_file(path: Path, frames: int, fps: int = 30) -> Path:
    """An H.264 file whose frame n carries the number n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "g": "15"})
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for n in range(frames):
            picture = av.VideoFrame.from_ndarray(numbered_picture(n, 320, 192), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def numbered_config(
    redis_url: str, workshop: Path, cameras: Mapping[str, Mapping[str, Any]], **graph: Any
) -> dict[str, Any]:
    """A configuration around NumberedDetect."""
    return {
        "redis": {"url": redis_url},
        "models": {"numbers": {"weights": str(workshop), "image_size": [192, 320], "max_batch": 4}},
        "recipes": {"count": {"model": "numbers"}},
        "cameras": {name: dict(camera) for name, camera in cameras.items()},
        "graph": {"max_batch": 4, "detect_cpus": 0.1, "ingest_cpus": 0.1, "track_cpus": 0.1, **graph},
        "observe": {"metrics_port": None},
        "spool": {"dir": str(workshop / "spool")},
    }


@dataclass(frozen=True)
class Line:
    """What a test does with a running Rayline."""

    rayline: Rayline

    def detections(self, camera: str, line: str | None = None) -> Messages:
        """All detection messages of a camera so far, in the stream's order."""
        return self._read(f"rayline:{{{line or camera}}}:detections:{camera}")

    def events(self, camera: str, line: str | None = None) -> Messages:
        """All its events so far."""
        return self._read(f"rayline:{{{line or camera}}}:events:{camera}")

    def inspections(self, line: str) -> Messages:
        """All verdicts of a line so far."""
        return self._read(f"rayline:{{{line}}}:inspections")

    def wait_for(self, what: str, condition: Callable[[], bool], timeout_s: float = 40.0) -> None:
        """Until the condition holds. Raises TimeoutError naming `what`."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {what} within {timeout_s:.0f} s")
            time.sleep(0.2)

    def _read(self, stream: str) -> Messages:
        return asyncio.run(_read(self.rayline.redis_url, stream))


@contextmanager
def running_line(config: dict[str, Any], detect_wrapper: type[NumberedDetect] = NumberedDetect) -> Iterator[Line]:
    """Started, and stopped on leaving; Ray itself stays."""
    build = functools.partial(build_app, detect_wrapper=detect_wrapper, fused_wrapper=NumberedFused)
    with started(config_of_data(config, "test"), build=build) as rayline:
        yield Line(rayline)


def numbers(messages: Messages) -> list[int]:
    """The numbers the pictures carried, in order of publication. A frame that failed has none and raises."""
    return [number_of(message["objects"][0]["box"]) for message in messages]


async def _read(redis_url: str, stream: str) -> Messages:
    async with StreamReader(RedisSettings(url=SecretStr(redis_url))) as reader:
        return [orjson.loads(entry.data) for entry in await reader.read(stream, count=100_000)]
