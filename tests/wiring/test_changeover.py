"""A running line changes its recipe and then its model's thresholds: no part is lost or doubled, no frame dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from pipeline.orchestrate.changeover import changeover_of
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import StateStore
from tests.redis_server import redis_server
from tests.wiring.numbered_detect import PART_EVERY, NumberedParts
from tests.wiring.running_line import Line, numbered_config, numbered_file, running_line

FRAMES = 240
CROSSES = 18  # frames from a part's first until its middle is past the trigger

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(90)]


def config_of(workshop: Path, redis_url: str, clip: Path) -> dict[str, Any]:
    camera = {"url": str(clip), "line": "belt", "pace": "realtime"}
    data = numbered_config(redis_url, workshop, {"cam": camera}, topology="split")
    rule = {
        "part_label": "part",
        "trigger": [[0.5, 0.0], [0.5, 1.0]],
        "required": [{"label": "mark"}],
    }
    rejects_all = {**rule, "required": [{"label": "mark"}], "defects": [{"label": "speck", "ignore_frames": 0}]}
    recipe = {"model": "numbers", "track": {"classes": ["part"]}}
    data["recipes"] = {"small": {**recipe, "inspection": rule}, "large": {**recipe, "inspection": rejects_all}}
    data["lines"] = {"belt": {"recipe": "small"}}
    return data


def changed(redis_url: str, change: Callable[[DesiredStore], Awaitable[DesiredState]]) -> DesiredState:
    async def work() -> DesiredState:
        async with Redis.from_url(redis_url) as client:
            return await change(DesiredStore(client))

    return asyncio.run(work())


def is_done(redis_url: str, desired: DesiredState) -> bool:
    async def look() -> bool:
        async with Redis.from_url(redis_url) as client:
            return changeover_of(desired, await StateStore(client).read(), "belt").state == "done"

    return asyncio.run(look())


def test_a_line_changes_over_between_parts_and_its_thresholds_between_batches(local_ray, workshop: Path) -> None:
    clip = numbered_file(workshop / "numbers.mp4", FRAMES)
    with redis_server(workshop) as redis, running_line(config_of(workshop, redis.url, clip), NumberedParts) as line:
        line.wait_for("first frames", lambda: len(line.detections("cam", "belt")) > 5)
        desired = changed(redis.url, lambda store: store.set_recipe("belt", "large"))
        line.wait_for("the new recipe", lambda: is_done(redis.url, desired), 10)
        changed(redis.url, lambda store: store.set_thresholds("numbers", {"min_score": 0.6}))
        line.wait_for("end of the file", line.rayline.all_ended)
        _look(line)


def _look(line: Line) -> None:
    frames, parts = line.detections("cam", "belt"), line.inspections("belt")
    (event,) = [one for one in line.events("cam", "belt") if one["kind"] == "recipe_changed"]
    assert (event["data"]["from"], event["data"]["to"], event["data"]["forced"]) == ("small", "large", False)

    assert [one["seq"] for one in frames] == list(range(FRAMES))
    assert sum(sum(one["dropped_since_last"].values()) for one in frames) == 0
    change = next(n for n, one in enumerate(frames) if one["recipe"] == "large")
    assert [one["recipe"] for one in frames] == ["small"] * change + ["large"] * (FRAMES - change)
    assert frames[change]["source"]["position"] == event["source"]["position"]

    assert [one["track_id"] for one in parts] == sorted({one["track_id"] for one in parts})
    crossed = sum(n % PART_EVERY == CROSSES for n in range(FRAMES))
    assert len(parts) == crossed
    before = sum(one["source"]["position"] < event["source"]["position"] for one in parts)
    assert 0 < before < crossed
    assert [one["recipe"] for one in parts] == ["small"] * before + ["large"] * (crossed - before)
    assert {one["config_hash"] for one in parts[:before]} == {frames[0]["config_hash"]}

    specks = [any(each["label"] == "speck" for each in one["objects"]) for one in frames]
    hashes = list(dict.fromkeys(one["config_hash"] for one in frames))
    assert len(hashes) == 3  # small, large, large with other thresholds
    assert [one["config_hash"] != hashes[2] for one in frames] == specks  # from the very same frame on
