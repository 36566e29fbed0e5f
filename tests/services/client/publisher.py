"""Real messages in real streams, numbered."""

from __future__ import annotations

from dataclasses import replace

from redis import Redis

from stages.results.messages import detection_message, event_message, inspection_message, uninspected_message
from stages.values import CameraId, Position
from tests.unit.results import builders as b


class Publisher:
    """Publishes on one line; message N has the entry id N-0, and N can be read off it."""

    def __init__(self, client: Redis, line: str) -> None:
        self.client = client
        self.line = line

    @property
    def inspections(self) -> str:
        return f"rayline:{{{self.line}}}:inspections"

    def detections(self, camera: str = "cam-1") -> str:
        return f"rayline:{{{self.line}}}:detections:{camera}"

    def dead(self, group: str) -> list[dict[str, str]]:
        """The dead letters of a group, oldest first."""
        letters = self.client.xrange(f"rayline:{{{self.line}}}:dead:{group}")
        return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in letters]

    def pending(self, group: str) -> int:
        return int(self.client.xpending(self.inspections, group)["pending"])

    def parts(self, *numbers: int, camera: str = "cam-1") -> None:
        for number in numbers:
            part = replace(b.INSPECTION, inspection_id=str(number), track_id=number, camera_id=CameraId(camera))
            self._add(self.inspections, number, str(number), inspection_message(part, b.result(), self._context))

    def gap(self, number: int) -> None:
        message = uninspected_message(b.UNINSPECTED, b.result(), self._context)
        self._add(self.inspections, number, str(number), message)

    def frames(self, *numbers: int, camera: str = "cam-1") -> None:
        for number in numbers:
            result = b.result(camera_id=CameraId(camera), seq=number, position=Position("live", 1, number))
            self._add(self.detections(camera), number, str(number), detection_message(result, self._context))

    def event(self, number: int) -> None:
        message = event_message(b.EVENT, b.result(), self._context)
        self._add(f"rayline:{{{self.line}}}:events:cam-1", number, b.EVENT.event_id, message)

    def rubbish(self, number: int) -> None:
        self._add(self.inspections, number, str(number), b'{"schema": "rayline.inspection/1.0", "kind": 7}')

    def _add(self, stream: str, number: int, message_id: str, data: bytes) -> None:
        self.client.xadd(stream, {"message_id": message_id, "data": data}, id=f"{number}-0")

    @property
    def _context(self) -> object:
        return replace(b.CONTEXT, line=self.line)
