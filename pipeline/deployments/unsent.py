"""What one camera could not get written: messages that go with its next write, and frames that are lost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from pipeline.deployments.untold import MOST_CARRIED, tell_dropped
from pipeline.sinks.redis_streams import CameraWrite
from stages.results.messages import ResultContext, camera_event_message, rfc3339
from stages.values import CameraId, Event


class Unsent:
    """Carries a live camera's messages from a write that did not land into the next one, and sums up the loss.

    `lost` are frames to be told as dropped, by reason, in the first message that lands. What is too much goes, oldest
    first, and is logged.
    """

    def __init__(self, camera_id: CameraId) -> None:
        self.lost: Counter[str] = Counter()
        self._camera_id = camera_id
        self._events: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._verdicts: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._to_carry: list[bytes] = []  # events of the write under way, to be carried where it does not land
        self._frames = 0  # that could not be written since `_since`
        self._since: float | None = None

    def events(self, now: float, context: ResultContext, new: Sequence[bytes]) -> list[bytes]:
        """Those of a write that brings `new`: what the loss came to, what is carried, and these.

        They are remembered until it is known whether the write landed.
        """
        self._to_carry = [*self._events, *new]
        return [*self._loss(now, context), *self._to_carry]

    def verdicts(self, new: Sequence[bytes]) -> list[bytes]:
        """Those of a write that brings `new`: what is carried, and these."""
        return [*self._verdicts, *new]

    def keep(self, write: CameraWrite, drops: Counter[str], now: float) -> None:
        """The write did not land, and its frames are lost; `drops` is what they had to tell of frames before them."""
        self._frames += len(write.detections)
        self.lost += drops + Counter({"sink_unavailable": len(write.detections)})
        self._since = self._since or now
        # What was carried is part of this write: put back, oldest first, with the new behind. But not what was said of
        # the loss: that is said anew, with what it comes to by then.
        self._carry(self._events, self._to_carry)
        self._carry(self._verdicts, write.inspections)

    def add_lost(self, frames: Mapping[str, int]) -> None:
        """Frames that are lost besides, by reason."""
        self.lost.update(frames)

    def landed(self) -> None:
        """The write is in safe hands, with all that was carried until then."""
        self._events.clear()
        self._verdicts.clear()
        self._frames, self._since = 0, None
        self.lost.clear()

    def left(self, now: float, context: ResultContext) -> tuple[list[bytes], list[bytes]]:
        """Events and verdicts that the camera leaves behind when it goes."""
        return [*self._events, *self._loss(now, context)], list(self._verdicts)

    def _carry(self, kept: deque[bytes], messages: Sequence[bytes]) -> None:
        if too_many := max(0, len(messages) - MOST_CARRIED):
            tell_dropped(self._camera_id, too_many)
        kept.clear()
        kept.extend(messages)

    def _loss(self, now: float, context: ResultContext) -> list[bytes]:
        """One system event when the store is back, saying what it cost."""
        if not self._frames or self._since is None:
            return []
        event = Event(
            event_id=f"{self._camera_id}/{self._since:.3f}/sink_unavailable",
            kind="system",
            at=now,
            data={"what": "sink_unavailable", "since": rfc3339(self._since), "frames_lost": self._frames},
        )
        return [camera_event_message(event, self._camera_id, context)]
