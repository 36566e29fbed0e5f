"""The pictures of one camera's parts: each verdict names its own, or says why there is none."""

from __future__ import annotations

from pipeline.sinks.snapshots import SnapshotFailed, Snapshots
from stages.values import Frame, Inspection

NO_PICTURE = "no picture: the stream had ended"


class PartPictures:
    """Of those verdicts for which `snapshots` wants one; of none without it."""

    def __init__(self, snapshots: Snapshots | None) -> None:
        self._snapshots = snapshots
        self._failed = 0

    def with_frame(self, inspection: Inspection, frame: Frame) -> Inspection:
        """The verdict with the picture of its part, written before the entry, or with the reason there is none."""
        if self._snapshots is None or not self._snapshots.wanted(inspection.inspection_id, inspection.verdict):
            return inspection
        seen = inspection.seen_xyxy
        box = seen or inspection.xyxy  # where it is in this frame, for it crossed between two; else about where it was
        written = self._snapshots.write(inspection.inspection_id, frame.image, box, inspection.captured_at)
        if isinstance(written, SnapshotFailed):
            self._failed += 1
            return inspection.with_snapshot(None, None, written.reason)
        left, top = written.origin
        on_it = None if seen is None else (seen[0] - left, seen[1] - top, seen[2] - left, seen[3] - top)
        return inspection.with_snapshot(written.uri, written.sha256, xyxy=on_it)

    def without(self, inspection: Inspection) -> Inspection:
        """Where a picture was wanted and nobody had a frame to make one of, the verdict says so."""
        if inspection.snapshot is not None or inspection.snapshot_error is not None:
            return inspection
        if self._snapshots is None or not self._snapshots.wanted(inspection.inspection_id, inspection.verdict):
            return inspection
        return inspection.with_snapshot(None, None, NO_PICTURE)

    def take_failed(self) -> int:
        """Pictures that could not be written, since the last time this was asked."""
        failed, self._failed = self._failed, 0
        return failed
