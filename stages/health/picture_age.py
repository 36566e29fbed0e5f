"""How old a live camera's newest picture is, whatever its clock is off by."""

from __future__ import annotations

from stages.values import Clock

WINDOW_S = 300.0  # a clock that runs off by a second a day must not make its pictures old


class PictureAge:
    """Ages of one camera's pictures.

    The camera's own clock tells how long a picture was on its way only against the promptest picture of the last
    minutes: a clock that was never set is minutes off and yet tells that well. A picture dated by its arrival was
    under way for a time nobody knows; its age counts from there.
    """

    def __init__(self) -> None:
        self._clock: Clock | None = None
        self._least_s = self._least_before_s = float("inf")
        self._window_from = 0.0

    def of(self, captured_at: float, received_at: float, clock: Clock, now: float) -> float:
        """Seconds since the picture was taken. All times are Unix seconds, `captured_at` by `clock`, others by ours."""
        if clock is not Clock.RTCP:
            self._clock = clock
            return max(0.0, now - received_at)
        delay_s = received_at - captured_at
        if self._clock is not clock:
            self._clock, self._window_from = clock, received_at
            self._least_s = self._least_before_s = float("inf")
        elif received_at - self._window_from > WINDOW_S:
            self._window_from, self._least_before_s, self._least_s = received_at, self._least_s, float("inf")
        self._least_s = min(self._least_s, delay_s)
        return max(0.0, now - captured_at - min(self._least_s, self._least_before_s))
