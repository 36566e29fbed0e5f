"""Where a camera's frames stand: epochs and counts of live streams, places in files, across every reconnect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pipeline.ingest.source import Source, SourceFrame
from stages.values import Position


class Numbering:
    """Gives each frame its `seq` and `position`. Positions strictly rise, whatever the clock does."""

    def __init__(self, cursor: Position | None, run_id: str, wall: Callable[[], float]) -> None:
        self.epoch = cursor.major if cursor is not None and cursor.is_live else 0  # Unix milliseconds
        self.last_seq = -1
        self.after: tuple[int, int] | None = None  # behind which a replayable source goes on
        self._cursor = cursor
        self._run_id = run_id
        self._wall = wall
        self._source = "live"

    def new_run(self, source: Source) -> None:
        """The source is open: live, a new epoch begins; a file goes on behind its last frame, or the cursor's."""
        now_ms = int(self._wall() * 1000)
        if source.live:
            self.epoch, self.last_seq = max(self.epoch + 1, now_ms), -1
            return
        self.epoch = self.epoch or now_ms
        text = f"{source.identity},{self._run_id}"
        self._source = f"file:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if self.after is None and self._cursor is not None and self._cursor.source == self._source:
            self.after = (self._cursor.major, self._cursor.minor)

    def lost(self, count: int) -> None:
        """So many pictures were there and are not to be had: a gap in `seq`."""
        self.last_seq += count

    def next(self, source: Source, item: SourceFrame) -> tuple[int, Position]:
        """The next frame's seq and position."""
        self.last_seq += 1
        if source.live:
            return self.last_seq, Position("live", self.epoch, self.last_seq)
        self.after = (item.major, item.minor)
        return self.last_seq, Position(self._source, item.major, item.minor)
