"""What `rayline snapshot` draws into a picture (H, W, 3 uint8, B G R)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RecipeSettings
    from stages.results.models import DetectionMessage
    from stages.values import UInt8

_GRID = (170, 170, 170)
_ROI = (255, 255, 0)
_ZONE = (0, 200, 255)
_LINE = (255, 120, 0)
_TRIGGER = (0, 0, 255)
_BOXES = ((80, 200, 80), (230, 160, 60), (80, 160, 255), (200, 90, 220), (60, 220, 220), (110, 110, 240))

Point = tuple[float, float]


def draw_grid(image: UInt8) -> UInt8:
    """Lines at every tenth of width and height, with their fractions: what positions are set in."""
    canvas = _canvas(image)
    height, width = canvas.shape[:2]
    faint = canvas.copy()
    for tenth in range(1, 10):
        x, y = round(width * tenth / 10), round(height * tenth / 10)
        cv2.line(faint, (x, 0), (x, height), _GRID, 1)
        cv2.line(faint, (0, y), (width, y), _GRID, 1)
    canvas = cast("UInt8", cv2.addWeighted(faint, 0.5, canvas, 0.5, 0))
    for tenth in range(1, 10):
        _write(canvas, f".{tenth}", (width * tenth / 10 + 2, 12), _GRID)
        _write(canvas, f".{tenth}", (2, height * tenth / 10 - 3), _GRID)
    return canvas


def draw_recipe(image: UInt8, recipe: RecipeSettings) -> UInt8:
    """The region the model sees, zones, lines, and the trigger with the belt's direction."""
    canvas = _canvas(image)
    if recipe.roi is not None:
        x1, y1, x2, y2 = recipe.roi
        _polygon(canvas, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], _ROI, "region")
    for zone in recipe.zones.zones:
        _polygon(canvas, list(zone.polygon), _ZONE, zone.name)
    for line in recipe.zones.lines:
        _segment(canvas, line.start, line.end, _LINE, line.name)
    if recipe.inspection is not None:
        start, end = recipe.inspection.trigger
        _segment(canvas, start, end, _TRIGGER, "trigger")
        _belt(canvas, start, end, recipe.inspection.vector)
    return canvas


def draw_boxes(image: UInt8, message: DetectionMessage) -> UInt8:
    """The objects of a detection message, scaled where the picture has another size than the message tells."""
    canvas = _canvas(image)
    height, width = canvas.shape[:2]
    scale = np.array([width / message.size.width, height / message.size.height] * 2)
    for found in message.objects:
        x1, y1, x2, y2 = (round(v) for v in (np.array(found.box) * scale).tolist())
        colour = _BOXES[found.class_id % len(_BOXES)]
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2)
        name = found.label if found.id is None else f"{found.label} #{found.id}"
        _write(canvas, f"{name} {found.score:.2f}", (x1, max(10, y1 - 4)), colour)
    return canvas


def write_picture(path: Path, image: UInt8) -> None:
    """The picture as JPEG or PNG, by the name's ending. Raises RaylineError where it cannot be written."""
    suffix = path.suffix.lower() or ".jpg"
    if suffix not in (".jpg", ".jpeg", ".png"):
        raise RaylineError(f"{path}: pictures are written as .jpg or .png")
    good, data = cv2.imencode(suffix, image)
    if not good:
        raise RaylineError(f"{path}: the picture could not be encoded")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as exc:
        raise RaylineError(f"{path}: {exc.strerror}") from exc


def _canvas(image: UInt8) -> UInt8:
    """A copy to draw on, in colour."""
    return cast("UInt8", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)) if image.ndim == 2 else image.copy()


def _pixels(canvas: UInt8, point: Point) -> tuple[int, int]:
    height, width = canvas.shape[:2]
    return round(point[0] * width), round(point[1] * height)


def _polygon(canvas: UInt8, corners: list[Any], colour: tuple[int, int, int], name: str) -> None:
    points = np.array([_pixels(canvas, corner) for corner in corners], np.int32)
    cv2.polylines(canvas, [points], True, colour, 2)
    x, y = points[0].tolist()
    _write(canvas, name, (x + 4, y + 14), colour)


def _segment(canvas: UInt8, start: Point, end: Point, colour: tuple[int, int, int], name: str) -> None:
    cv2.line(canvas, _pixels(canvas, start), _pixels(canvas, end), colour, 2)
    x, y = _pixels(canvas, (0.85 * start[0] + 0.15 * end[0], 0.85 * start[1] + 0.15 * end[1]))  # the arrow is mid-way
    _write(canvas, name, (x + 5, y - 5), colour)


def _belt(canvas: UInt8, start: Point, end: Point, step: Point) -> None:
    """An arrow through the trigger's middle, the belt's way."""
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    tail = _pixels(canvas, (x - 0.06 * step[0], y - 0.06 * step[1]))
    head = _pixels(canvas, (x + 0.06 * step[0], y + 0.06 * step[1]))
    cv2.arrowedLine(canvas, tail, head, _TRIGGER, 2, tipLength=0.3)


def _write(canvas: UInt8, text: str, at: tuple[float, float], colour: tuple[int, int, int]) -> None:
    place = (round(at[0]), round(at[1]))
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
