"""Every example of docs/client.md runs, and prints what stands below it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from pipeline.client import SubscriberSettings
from stages.results.messages import detection_message, inspection_message, uninspected_message
from stages.values import Position, Verdict
from tests.redis_server import redis_server
from tests.unit.results import builders as b

pytestmark = pytest.mark.services

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ADDRESS = "redis://127.0.0.1:6379/"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        with Redis.from_url(server.url) as client, Redis.from_url(server.url[:-1] + "1") as other:
            _publish(client)
            _lose(other)
        yield server.url


def _publish(client: Redis) -> None:
    """Two parts, a stretch nobody looked, and two frames."""
    good = replace(b.INSPECTION, inspection_id="cam-1/1794999000000/18", verdict=Verdict.PASS, reasons=(), defects=())
    parts = [inspection_message(part, b.result(), b.CONTEXT) for part in (b.INSPECTION, good)]
    parts.append(uninspected_message(b.UNINSPECTED, b.result(), b.CONTEXT))
    for number, message in enumerate(parts, start=1):
        client.xadd("rayline:{bottling-1}:inspections", {"data": message}, id=f"{number}-0")
    for number in (1, 2):
        message = detection_message(b.result(seq=number, position=Position("live", 1, number)), b.CONTEXT)
        client.xadd("rayline:{bottling-1}:detections:cam-1", {"data": message}, id=f"{number}-0")


def _lose(client: Redis) -> None:
    """A group that had read one entry of four when all but the last were trimmed."""
    stream = "rayline:{bottling-1}:inspections"
    message = inspection_message(b.INSPECTION, b.result(), b.CONTEXT)
    for number in range(1, 5):
        client.xadd(stream, {"data": message}, id=f"{number}-0")
    client.xgroup_create(stream, "mes", "0")
    client.xreadgroup("mes", "gone", {stream: ">"}, count=1)
    client.xack(stream, "mes", "1-0")
    client.xtrim(stream, maxlen=1, approximate=False)


def test_no_example_is_without_its_output() -> None:
    assert len(EXAMPLES) == PAGE.count("```python") >= 6


@pytest.mark.parametrize(("program", "output"), EXAMPLES)
def test_an_example_prints_what_stands_below_it(url: str, tmp_path: Path, program: str, output: str) -> None:
    program = program.replace(ADDRESS, url.removesuffix("0"))
    expected = output.splitlines()
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().rstrip() for _ in expected]
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert (told, rest) == (expected, ""), err


def test_every_option_is_told_with_its_default() -> None:
    told = set(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))
    names = {name for row in told for name in re.findall(r"`(\w+)`", row)}
    assert names == {*SubscriberSettings.model_fields, "on_lost"}
