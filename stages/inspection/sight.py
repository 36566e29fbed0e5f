"""When the camera could not see, as intervals that are told."""

from __future__ import annotations

from typing import Any

from stages.values import CameraId, Uninspected

NO_FRAMES = "no_frames"


class Sight:
    """Whether one camera sees; at most one interval is open."""

    def __init__(self, camera_id: CameraId, run: str, blind_after_s: float) -> None:
        self._camera_id = camera_id
        self._run = run
        self.blind_after_s = blind_after_s
        self._since: float | None = None
        self._reason = ""
        self._told: str | None = None  # id of the interval that is open for all to know
        self.back_at: float | None = None  # when it last began to see again

    @property
    def seeing(self) -> bool:
        """False from the first sign of blindness, long before an interval is told."""
        return self._since is None

    def lose(
        self, at: float, reason: str, *, since: float | None = None, at_once: bool = False
    ) -> tuple[Uninspected, ...]:
        """The camera does not see now; opens an interval when that has lasted, or at once.

        `since` is when it began, where that shows only now: a freeze, or a watchdog's patience.
        """
        if self._since is None:
            began = at if since is None else min(since, at)
            # Not before it last saw again: that time has been told.
            self._since, self._reason = began if self.back_at is None else max(began, min(self.back_at, at)), reason
        if self._told is not None or (at - self._since < self.blind_after_s and not at_once):
            return ()
        self._told = self._name(self._since)
        return (self._interval(None),)

    def regain(self, at: float) -> tuple[Uninspected, ...]:
        """The camera sees (again); closes the interval that was told."""
        if self._since is None:
            return ()
        closed = () if self._told is None else (self._interval(max(at, self._since)),)
        self._since, self._told, self.back_at = None, None, at
        return closed

    def hole(self, since: float, at: float) -> tuple[Uninspected, ...]:
        """No frame came from then until now: an interval known only when it is over."""
        self.back_at = at
        return (Uninspected(self._name(since), self._camera_id, since, at, NO_FRAMES),)

    def shift(self, by_s: float) -> None:
        """Move remembered times: the camera's clock jumped."""
        self._since = None if self._since is None else self._since + by_s
        self.back_at = None if self.back_at is None else self.back_at + by_s

    def checkpoint(self) -> list[Any]:
        """Plain data."""
        return [self._since, self._reason, self._told, self.back_at]

    def restore(self, data: list[Any]) -> None:
        """Take up where a checkpoint was made."""
        self._since, self._reason, self._told, self.back_at = data

    def _name(self, since: float) -> str:
        return f"{self._camera_id}/{self._run}/uninspected/{round(since * 1000)}"

    def _interval(self, until: float | None) -> Uninspected:
        if self._since is None or self._told is None:
            raise RuntimeError("no interval is open")  # lose and regain see to that
        return Uninspected(self._told, self._camera_id, self._since, until, self._reason)
