"""What a camera has still to say with no frame behind it, and the backlog of cameras a replica let go of."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.observe.logs import log_context
from stages.values import CameraId, LineId

logger = logging.getLogger(__name__)

MOST_CARRIED = 1000  # events, and verdicts, of one camera that are kept while the store is away
MOST_CAMERAS = 64  # in a backlog: some 100 MB if each left as much as it may


@dataclass(frozen=True, slots=True)
class Untold:
    """Messages that no frame of a write stands behind, and what is to be told with the next frame."""

    events: Sequence[bytes] = ()
    verdicts: Sequence[bytes] = ()
    checkpoint: tuple[str, bytes] | None = None  # after an end, to be stored while its cursor is the stored one
    lost: Mapping[str, int] = field(default_factory=dict)  # frames by reason, for the first message that comes

    def __len__(self) -> int:
        return len(self.events) + len(self.verdicts)

    def __bool__(self) -> bool:
        return len(self) > 0 or self.checkpoint is not None

    def then(self, later: Untold) -> Untold:
        """Both, in this order."""
        return Untold(
            [*self.events, *later.events],
            [*self.verdicts, *later.verdicts],
            later.checkpoint or self.checkpoint,
            Counter(self.lost) + Counter(later.lost),
        )


class Backlog:
    """Keeps what cameras left unsaid until somebody takes it; what is too much goes, oldest first, and is logged."""

    def __init__(self) -> None:
        self._left: dict[tuple[LineId, CameraId], Untold] = {}

    def keep(self, line: LineId, camera_id: CameraId, untold: Untold) -> None:
        """Add what a camera leaves behind."""
        if not untold and not untold.lost:
            return
        with log_context(camera=camera_id):
            self._left[line, camera_id] = _newest(camera_id, self.take(line, camera_id).then(untold))
        if len(self._left) > MOST_CAMERAS:
            _, gone = oldest = next(iter(self._left))
            with log_context(camera=gone):
                tell_dropped(gone, len(self._left.pop(oldest)))

    def put_back(self, line: LineId, camera_id: CameraId, untold: Untold) -> None:
        """What was taken and could not be stored: in front of what came meanwhile."""
        self.keep(line, camera_id, untold.then(self.take(line, camera_id)))

    def take(self, line: LineId, camera_id: CameraId) -> Untold:
        """What a camera left; it is the caller's then."""
        return self._left.pop((line, camera_id), Untold())

    def waiting(self) -> list[tuple[LineId, CameraId]]:
        """Whose messages wait, oldest first."""
        return [key for key, untold in self._left.items() if untold]


def _newest(camera_id: CameraId, untold: Untold) -> Untold:
    kept = replace(untold, events=untold.events[-MOST_CARRIED:], verdicts=untold.verdicts[-MOST_CARRIED:])
    if dropped := len(untold) - len(kept):
        tell_dropped(camera_id, dropped)
    return kept


def tell_dropped(camera_id: CameraId, messages: int) -> None:
    """Log that so many of a camera's messages are lost."""
    if messages:
        logger.error("camera %s: %d events and verdicts are lost: too many wait for Redis", camera_id, messages)
