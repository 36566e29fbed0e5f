"""The clock of one camera's frames: when the last one was taken, and by how much the clock was set since."""

from __future__ import annotations

from typing import Any

CLOCK_STEP_S = 1.5  # a camera's clock gaining so much on ours between two frames was set, and does not run


class FrameTime:
    """Times are Unix seconds of capture, by whatever clock dates the frames; `received_at` is by ours."""

    def __init__(self) -> None:
        self.started_at: float | None = None  # when the first frame was taken
        self.last_at: float | None = None  # and the last
        self._received_at: float | None = None

    def step(self, captured_at: float, received_at: float | None) -> float:
        """Seconds the clock was set by before this frame; what is remembered here has moved along.

        0 for time that just passed. Without `received_at` (recordings) only a clock that goes back shows.
        """
        step_s = 0.0 if self.last_at is None else self._step(captured_at - self.last_at, received_at)
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

    def _step(self, moved_s: float, received_at: float | None) -> float:
        passed_s = 0.0
        if received_at is not None and self._received_at is not None:
            passed_s = max(0.0, received_at - self._received_at)
            if moved_s - passed_s > CLOCK_STEP_S:
                return moved_s - passed_s
        return moved_s - passed_s if moved_s < 0 else 0.0
