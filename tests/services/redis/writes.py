"""Short hands for writes, and what then stands in the streams."""

from collections.abc import Sequence

import orjson

from pipeline.sinks.keys import camera_keys
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings
from stages.values import Position

EPOCH = 1_795_000_000_000


def live(seq: int, epoch: int = EPOCH) -> str:
    return Position("live", epoch, seq).encode()


def kafka(offset: int, partition: int = 0) -> str:
    return Position(f"kafka:frames/{partition}", offset, 0).encode()


def file(frame: int, loop: int = 0, run: str = "a|b") -> str:
    """Its name holds the separator too, as a path may."""
    return Position(f"file:{run}", loop, frame).encode()


def message(name: str) -> bytes:
    return orjson.dumps({"message_id": name, "schema": "test"})


def write(
    line: str,
    prev: str | None,
    new: str,
    *,
    camera: str = "cam",
    events: Sequence[str] = (),
    inspections: Sequence[str] = (),
    checkpoint: bytes | None = None,
) -> CameraWrite:
    """A write whose one detection is named by its cursor."""
    return CameraWrite(
        camera,
        line,
        prev,
        new,
        [message(new)],
        [message(event) for event in events],
        [message(inspection) for inspection in inspections],
        checkpoint,
    )


async def stored_ids(settings: RedisSettings, line: str, camera: str = "cam") -> tuple[list[str], ...]:
    """Message ids in the detections, events and inspections streams, oldest first."""
    keys = camera_keys(line, camera)
    async with StreamReader(settings) as reader:
        found = [await reader.read(key, count=100_000) for key in (keys.detections, keys.events, keys.inspections)]
    return tuple([entry.message_id for entry in entries] for entries in found)
