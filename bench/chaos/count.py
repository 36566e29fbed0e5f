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

from bench.chaos.clips import bottle_line
from bench.chaos.detect import NUMBERS
from pipeline.demo.tally import CameraRecord, figures_of, match
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisSettings
from stages.values import Position
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
    return asyncio.run(_read(redis_url, camera_keys(camera, camera).detections))


def inspections(redis_url: str, camera: str) -> Messages:
    """All verdicts of a camera that is a line of its own."""
    messages = asyncio.run(_read(redis_url, camera_keys(camera, camera).inspections))
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
        failed=sum(_is_failed(message) for message in messages),
    )


def count_live(messages: Messages) -> Counted:
    """By the numbers the pictures carry; what is missing within an epoch must have been told."""
    numbers = [number for message in messages if (number := _number(message)) is not None]
    dropped = untold = 0
    for _, epoch in itertools.groupby(messages, key=_epoch):
        run = list(epoch)
        missing = sum(after["seq"] - before["seq"] - 1 for before, after in itertools.pairwise(run))
        told = [sum(message["dropped_since_last"].values()) for message in run]
        dropped += sum(told)
        untold += max(0, missing - sum(told[1:]))  # the first tells of what was lost before the epoch
    return Counted(
        published=len(messages),
        lost=0,
        duplicated=len(messages) - len({message["message_id"] for message in messages})
        + len(numbers) - len(set(numbers)),
        out_of_order=_falls(numbers),
        failed=sum(_is_failed(message) for message in messages),
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
        **figures_of(matched.pairs),
        "parts_twice": matched.unexpected,
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
    position = Position.decode(message["source"]["position"])
    return position.major if position.source.startswith("kafka:") else position.minor


def _epoch(message: Mapping[str, Any]) -> int:
    return Position.decode(message["source"]["position"]).major


def _is_failed(message: Mapping[str, Any]) -> bool:
    """Published without an answer of the model; one that reads numbers has one for every picture."""
    return message.get("error") is not None or (message["model"]["name"] == NUMBERS and not message["objects"])


def _number(message: Mapping[str, Any]) -> int | None:
    if message["model"]["name"] != NUMBERS or not message["objects"]:
        return None
    return number_of(message["objects"][0]["box"])


def _falls(values: Sequence[int]) -> int:
    return sum(after < before for before, after in itertools.pairwise(values))


def _unix(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()


async def _read(redis_url: str, stream: str) -> Messages:
    async with StreamReader(RedisSettings(url=SecretStr(redis_url))) as reader:
        return [orjson.loads(entry.data) for entry in await reader.read(stream, count=1_000_000)]
