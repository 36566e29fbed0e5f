"""The clock of one camera's frames: when the last one was taken, and by how much the clock was set since."""

from __future__ import annotations

from typing import Any

CLOCK_STEP_S = 1.5  # a camera's clock gaining so much on ours between two frames was set, and does not run
LOST_TIME = 3.0  # usual intervals that each frame lost in between may stand for: a burst behind a stall is no step


class FrameTime:
    """Times are Unix seconds of capture, by whatever clock dates the frames; `received_at` is by ours."""

    def __init__(self) -> None:
        self.started_at: float | None = None  # when the first frame was taken
        self.last_at: float | None = None  # and the last
        self._received_at: float | None = None
        self._interval_s: float | None = None  # usual, between two frames of the source

    def step(self, captured_at: float, received_at: float | None, lost: int = 0) -> float:
        """Seconds the clock was set by before this frame; what is remembered here has moved along.

        0 for time that just passed. Without `received_at` (recordings) only a clock that goes back shows. `lost`
        frames were dropped since the last one.
        """
        step_s = 0.0 if self.last_at is None else self._step(captured_at - self.last_at, received_at, lost)
        if self.last_at is not None and not step_s:
            self._interval_s = (captured_at - self.last_at) / (lost + 1)
        self._received_at = received_at
        self.started_at = captured_at if self.started_at is None else self.started_at + step_s
        self.last_at = None if self.last_at is None else self.last_at + step_s
        return step_s

    def move_on(self, at: float) -> float | None:
        """This frame is the last one now; when the one before was."""
        before, self.last_at = self.last_at, at
        return before

    def checkpoint(self) -> list[Any]:
        """Plain data."""
        return [self.started_at, self.last_at, self._received_at]

    def restore(self, data: list[Any]) -> None:
        """Take up where a checkpoint was made."""
        self.started_at, self.last_at, self._received_at = [*data, None][:3]

    def _step(self, moved_s: float, received_at: float | None, lost: int) -> float:
        passed_s = 0.0
        if received_at is not None and self._received_at is not None:
            passed_s = max(0.0, received_at - self._received_at)
            if moved_s - passed_s > max(CLOCK_STEP_S, self._most_lost_s(lost)):
                return moved_s - passed_s
        return moved_s - passed_s if moved_s < 0 else 0.0

    def _most_lost_s(self, lost: int) -> float:
        """Time that the frames lost in between may have taken."""
        if not lost:
            return 0.0
        return float("inf") if self._interval_s is None else LOST_TIME * lost * self._interval_s
