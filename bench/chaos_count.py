"""What the drill published, counted: lost, twice, out of order, and parts judged against the parts there were."""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import SecretStr

from bench.chaos_clips import bottle_line
from pipeline.demo.tally import CameraRecord, match
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisSettings
from tests.numbered_model import number_of

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Counted:
    """One camera's frames, as a consumer that reads its stream from the start has them."""

    published: int
    lost: int  # of a source that can be read again: missing among those up to the last
    duplicated: int
    out_of_order: int
    failed: int = 0  # published without an answer of the model
    dropped: int = 0  # live: lost, and told
    untold: int = 0  # live: lost within an epoch, and told nowhere


def detections(redis_url: str, camera: str) -> Messages:
    """All messages of a camera, in the stream's order."""
    return asyncio.run(_read(redis_url, f"rayline:{{{camera}}}:detections:{camera}"))


def inspections(redis_url: str, camera: str) -> Messages:
    """All verdicts of a camera that is a line of its own."""
    messages = asyncio.run(_read(redis_url, f"rayline:{{{camera}}}:inspections"))
    return [message for message in messages if message["kind"] == "inspection"]


def count_replayable(messages: Messages) -> Counted:
    """By the picture's place in its film or partition, and by its number where it carries one."""
    places = [_place(message) for message in messages]
    misread = sum(number != place for message, place in zip(messages, places, strict=True)
                  if (number := _number(message)) is not None)  # fmt: skip
    return Counted(
        published=len(places),
        lost=max(places, default=-1) + 1 - len(set(places)) + misread,
        duplicated=len(places) - len(set(places)),
        out_of_order=_falls(places),
        failed=sum("error" in message and message["error"] is not None for message in messages),
    )


def count_live(messages: Messages) -> Counted:
    """By the numbers the pictures carry; what is missing within an epoch must have been told."""
    numbers = [number for message in messages if (number := _number(message)) is not None]
    dropped = untold = 0
    for _, epoch in itertools.groupby(messages, key=_epoch):
        run = list(epoch)
        missing = sum(after["seq"] - before["seq"] - 1 for before, after in itertools.pairwise(run))
        told = sum(sum(message["dropped_since_last"].values()) for message in run)
        dropped += told
        untold += max(0, missing - told)
    return Counted(
        published=len(messages),
        lost=0,
        duplicated=len(messages) - len({message["message_id"] for message in messages})
        + len(numbers) - len(set(numbers)),
        out_of_order=_falls(numbers),
        failed=len(messages) - len(numbers),
        dropped=dropped,
        untold=untold,
    )  # fmt: skip


def count_parts(frames: Messages, verdicts: Messages, fps: float) -> dict[str, Any]:
    """Parts whose whole way lies in the film's published part, those judged, and verdicts nobody stands behind.

    A verdict is dated by the film's own time, whatever a takeover did to the clock.
    """
    dated = sorted((_unix(frame["captured_at"]), _place(frame) / fps) for frame in frames)
    seconds = {message["message_id"]: _film_second(dated, _unix(message["captured_at"])) for message in verdicts}
    record = CameraRecord(bottle_line(), 0.0, fps, inspections=list(verdicts))
    record.first_at, record.last_at = 0.0, max((_place(frame) for frame in frames), default=0) / fps - 2.0
    matched = match(record, seconds)
    return {
        "parts_truth": len(matched.pairs),
        "parts_inspected": sum(message is not None for _, message in matched.pairs),
        "parts_twice": matched.unexpected,
        "verdicts_right": sum(m is not None and m["verdict"] == part.verdict for part, m in matched.pairs),
        "indeterminate": sum(m is not None and m["verdict"] == "indeterminate" for _, m in matched.pairs),
        "missed_at_s": [round(part.trigger_at_s, 1) for part, message in matched.pairs if message is None],
    }


def figures(counted: Counted) -> dict[str, int]:
    """As JSON has it."""
    return asdict(counted)


def _film_second(dated: Sequence[tuple[float, float]], at: float) -> float:
    place = bisect.bisect_left(dated, (at, 0.0))
    near = dated[max(0, place - 1) : place + 1]
    return min(near, key=lambda one: abs(one[0] - at))[1]


def _place(message: Mapping[str, Any]) -> int:
    source, major, minor = message["source"]["position"].split("|")
    return int(major if source.startswith("kafka:") else minor)


def _epoch(message: Mapping[str, Any]) -> str:
    return str(message["source"]["position"].split("|")[1])


def _number(message: Mapping[str, Any]) -> int | None:
    if message["model"]["name"] != "numbers" or not message["objects"]:
        return None
    return number_of(message["objects"][0]["box"])


def _falls(values: Sequence[int]) -> int:
    return sum(after < before for before, after in itertools.pairwise(values))


def _unix(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()


async def _read(redis_url: str, stream: str) -> Messages:
    async with StreamReader(RedisSettings(url=SecretStr(redis_url))) as reader:
        return [orjson.loads(entry.data) for entry in await reader.read(stream, count=1_000_000)]
