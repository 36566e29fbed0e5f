"""When a picture was taken: the camera's clock where it can be believed, ours otherwise, the file's for files."""

from __future__ import annotations

import logging

from stages.values import Clock

logger = logging.getLogger(__name__)

_LONGEST_GAP_S = 10.0  # a longer step in a file is a jump of its clock, not time that passed
_CATCH_UP = 0.5  # while the camera's clock lies behind what was said before, time goes on at half speed


class CaptureClock:
    """Capture times of one live run: arrival until the first sender report, the camera's clock from then on.

    Never goes backwards. `max_skew_s` is how far the camera's clock may differ from ours and still be used.
    """

    def __init__(self, name: str, max_skew_s: float) -> None:
        self._name = name
        self._max_skew_s = max_skew_s
        self._offset_s: float | None = None  # camera's wall clock minus media time
        self._refused = False
        self._last_at = float("-inf")
        self._last_arrival_s = float("-inf")

    def reported(self, camera_wall_s: float, media_s: float, arrived_s: float) -> None:
        """Takes what a sender report says: this media time was taken at this time of the camera's clock."""
        skew = camera_wall_s - arrived_s
        if abs(skew) <= self._max_skew_s:
            self._offset_s, self._refused = camera_wall_s - media_s, False
            return
        self._offset_s = None
        if not self._refused:
            self._refused = True
            logger.warning(
                "camera %s: its clock differs from ours by %.1f s (limit %.1f s); using arrival times until it is set",
                self._name, skew, self._max_skew_s,
            )  # fmt: skip

    def at(self, media_s: float | None, arrived_s: float) -> tuple[float, Clock]:
        """Unix seconds at which the picture was taken, and whose clock says so."""
        clock, at = Clock.ARRIVAL, arrived_s
        if self._offset_s is not None and media_s is not None:
            clock, at = Clock.RTCP, media_s + self._offset_s
            if abs(at - arrived_s) > self._max_skew_s + _LONGEST_GAP_S:  # time stamps jumped since the last report
                clock, at, self._offset_s = Clock.ARRIVAL, arrived_s, None
        return self._forwards(at, arrived_s), clock

    def _forwards(self, at: float, arrived_s: float) -> float:
        passed = max(arrived_s - self._last_arrival_s, 0.0)
        if at <= self._last_at:
            at = self._last_at + max(_CATCH_UP * passed, 1e-6)
        self._last_at, self._last_arrival_s = at, arrived_s
        return at


class MediaClock:
    """Seconds since the run began, by a file's time stamps; rises through missing, jumping and repeated ones."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._now_s = -interval_s
        self._last_pts_s: float | None = None

    def at(self, pts_s: float | None) -> float:
        """Media seconds of the next picture."""
        step = self._interval_s
        if pts_s is not None and self._last_pts_s is not None and 0 < pts_s - self._last_pts_s <= _LONGEST_GAP_S:
            step = pts_s - self._last_pts_s
        self._last_pts_s = pts_s
        self._now_s += step
        return self._now_s

    def go_to(self, media_s: float) -> None:
        """The next picture is the one at this time, not the first."""
        self._now_s = media_s - self._interval_s

    def new_loop(self) -> None:
        """The file starts over: the next picture follows one interval after the last."""
        self._last_pts_s = None
