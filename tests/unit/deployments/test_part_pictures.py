"""A verdict's picture tells where in it the part is, whatever was cut off."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.deployments.part_pictures import PartPictures
from pipeline.sinks.snapshots import SnapshotArea, Snapshots, SnapshotSettings
from stages.values import CameraId, Clock, Frame, Picture, PixelFormat, Position
from tests.unit.results import builders as b

SEEN = (40.0, 16.0, 72.0, 64.0)  # x1 y1 x2 y2 of the part in the frame
CROSSED = (34.0, 16.0, 66.0, 64.0)  # and where it was between this frame and the one before


def test_of_a_part_that_is_not_in_the_picture_it_tells_no_place(tmp_path: Path) -> None:
    picture = Picture(np.zeros((96, 128, 3), np.uint8), PixelFormat.RGB24, 128, 96)
    frame = Frame(CameraId("cam-1"), 1, b.CAPTURED_AT, Clock.RTCP, Position("live", 1, 1), picture)
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path)))
    told = PartPictures(snapshots).with_frame(replace(b.INSPECTION, xyxy=CROSSED, seen_xyxy=None), frame)
    snapshots.close()
    assert (told.snapshot is not None, told.snapshot_xyxy) == (True, None)


@pytest.mark.parametrize("area", SnapshotArea)
def test_it_is_where_the_part_is_seen_and_not_where_it_crossed(tmp_path: Path, area: SnapshotArea) -> None:
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[16:64, 40:72] = 255
    picture = Picture(pixels, PixelFormat.RGB24, 128, 96)
    frame = Frame(CameraId("cam-1"), 1, b.CAPTURED_AT, Clock.RTCP, Position("live", 1, 1), picture)
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path), area=area, quality=100))
    judged = replace(b.INSPECTION, xyxy=CROSSED, seen_xyxy=SEEN)
    told = PartPictures(snapshots).with_frame(judged, frame)
    snapshots.close()
    assert told.snapshot is not None
    assert told.snapshot_xyxy is not None
    stored = cv2.imread(told.snapshot.removeprefix("file://"), cv2.IMREAD_GRAYSCALE)
    assert stored is not None
    rows, columns = np.nonzero(stored > 127)
    assert told.snapshot_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert (told.snapshot_xyxy == SEEN) == (area is SnapshotArea.FULL)
