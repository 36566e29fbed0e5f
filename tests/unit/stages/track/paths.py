"""Hand-drawn paths: where each object is in each frame, and what a tracker makes of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from stages.track.tracker import Tracker
from stages.values import Detections, Tracks

Box = tuple[float, float, float, float]
Scene = Mapping[str, Box]  # name of the object -> where it is seen in this frame

WIDTH, HEIGHT = 640, 360


def detections(boxes: Sequence[Sequence[float]], score: float | Sequence[float] = 0.9, class_id: int = 0) -> Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.broadcast_to(np.array(score, np.float32), len(xyxy)).copy()
    return Detections(xyxy, scores, np.full(len(xyxy), class_id, np.int32))


def at(x: float, y: float, width: float = 60, height: float = 120) -> Box:
    """A box by its centre."""
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def belt(shift: float, pitch: float = 150, parts: int = 10, width: float = 60) -> Scene:
    """A row of parts entering from the left, the first one's right edge `shift` into the picture; cut by its edges."""
    scene = {}
    for number in range(parts):
        right = shift - number * pitch
        left, right = max(right - width, 0), min(right, WIDTH)
        if right - left > 12:
            scene[f"part {number}"] = (left, 100, right, 220)
    return scene


def follow(tracker: Tracker, scenes: Iterable[Scene], skipped: Iterable[int] | None = None) -> dict[str, list[int]]:
    """The identities each object was given, frame after frame, -1 left out."""
    ids: dict[str, list[int]] = defaultdict(list)
    scenes = list(scenes)
    for scene, gap in zip(scenes, skipped or [0] * len(scenes), strict=True):
        tracks = tracker.update(detections(list(scene.values())), frames_skipped=gap)
        for name, track_id in zip(scene, tracks.track_id, strict=True):
            if track_id >= 0:
                ids[name].append(int(track_id))
    return dict(ids)


def one_each(ids: Mapping[str, Sequence[int]]) -> bool:
    """True when every object had one identity all along and no two shared one."""
    kept = [set(seen) for seen in ids.values()]
    return all(len(seen) == 1 for seen in kept) and len(set.union(*kept)) == len(kept)


def tracks(ids: Sequence[int], centers: Sequence[tuple[float, float]], class_id: int = 0) -> Tracks:
    """Tracks as a tracker would give them, 20 pixels square."""
    boxes = np.array([at(x, y, 20, 20) for x, y in centers], np.float32).reshape(-1, 4)
    n = len(boxes)
    return Tracks(boxes, np.full(n, 0.9, np.float32), np.full(n, class_id, np.int32), np.array(ids, np.int32))
