"""Where a camera's frames stand: epochs and counts of live streams, places in files, across every reconnect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.ingest.source import After, Source, SourceFrame
from stages.values import Position


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """How far a camera was published: the last frame's position, and its capture time in Unix seconds if known."""

    position: Position
    captured_at: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one frame stands."""

    seq: int
    position: Position
    follows: Position | None  # the frame before it in the same run of a source that can be read again


class Numbering:
    """Gives each frame its place. Positions strictly rise, whatever the clock does."""

    def __init__(self, stored: StoredPlace | None, run_id: str, wall: Callable[[], float]) -> None:
        cursor = None if stored is None else stored.position
        self.epoch = cursor.major if cursor is not None and cursor.is_live else 0  # Unix milliseconds
        self.last_seq = -1
        self.after: After | None = None  # behind which a replayable source goes on
        self.last: Position | None = None  # of the frame numbered last, or where the run goes on; None live
        self._stored = stored
        self._run_id = run_id
        self._wall = wall
        self._source = "live"

    def new_run(self, source: Source) -> None:
        """The source is open: live, a new epoch begins; a file goes on behind its last frame, or the stored one."""
        now_ms = int(self._wall() * 1000)
        if source.live:
            self.epoch, self.last_seq = max(self.epoch + 1, now_ms), -1
            return
        self.epoch = self.epoch or now_ms
        text = f"{source.identity},{self._run_id}"
        self._source = f"file:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        stored = self._stored
        if self.after is None and stored is not None and stored.position.source == self._source:
            self.after = After(stored.position.major, stored.position.minor, stored.captured_at)
            self.last = stored.position

    def lost(self, count: int) -> None:
        """So many pictures were there and are not to be had: a gap in `seq`."""
        self.last_seq += count

    def next(self, source: Source, item: SourceFrame) -> Place:
        """The next frame's place."""
        self.last_seq += 1
        if source.live:
            return Place(self.last_seq, Position("live", self.epoch, self.last_seq), None)
        self.after = After(item.major, item.minor, item.captured_at)
        position = Position(self._source, item.major, item.minor)
        follows, self.last = self.last, position
        return Place(self.last_seq, position, follows)


def further(known: Position | None, cursor: str) -> Position:
    """How far a camera was published by what is known and by an answer's cursor.

    One to a batch without frames tells what is stored by then: less, where Redis lost some since, which is to be seen.
    """
    position = Position.decode(cursor)
    return known if known is not None and known.source == position.source and known > position else position
