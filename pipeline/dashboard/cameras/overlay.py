"""Trigger and zones as SVG over a picture. Pure: text that people gave is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.dashboard.cameras.drawing import Drawing, Point

_ARROW = 0.08  # of the picture's smaller side


def overlay(drawing: Drawing, size_wh: tuple[int, int], direction: Point | None, *, corners: bool = False) -> str:
    """Of a picture of this size, in its pixels. `corners` are marked where somebody draws."""
    width, height = size_wh
    unit = min(width, height) / 100
    shapes = []
    for zone in drawing.zones:
        points = _pixels(zone.corners, size_wh)
        shapes.append(f'<polygon class="draw-zone" points="{_joined(points)}"/>')
        shapes.append(_label(zone.name, points[0], unit, "draw-zone-name"))
        shapes += _dots(points, unit) if corners else []
    if drawing.begun:
        points = _pixels(drawing.begun, size_wh)
        shapes += [f'<polyline class="draw-begun" points="{_joined(points)}"/>', *_dots(points, unit)]
    trigger = _pixels(drawing.trigger, size_wh)
    if len(trigger) == 2:
        (ax, ay), (bx, by) = trigger
        shapes.append(f'<line class="draw-trigger" x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}"/>')
        if direction is not None:
            shapes.append(_arrow(((ax + bx) / 2, (ay + by) / 2), direction, size_wh))
    shapes += _dots(trigger, unit) if corners else []
    return "".join(shapes)


def as_svg(drawing: Drawing, size_wh: tuple[int, int], direction: Point | None) -> str:
    """The same as an element that lies over a picture and takes its shape."""
    width, height = size_wh
    inner = overlay(drawing, size_wh, direction)
    return f'<svg class="cam-over" viewBox="0 0 {width} {height}" aria-hidden="true">{inner}</svg>'


def _pixels(points: Sequence[Point], size_wh: tuple[int, int]) -> list[Point]:
    return [(x * size_wh[0], y * size_wh[1]) for x, y in points]


def _joined(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _dots(points: Sequence[Point], unit: float) -> list[str]:
    return [f'<circle class="draw-corner" cx="{x:.1f}" cy="{y:.1f}" r="{unit:.1f}"/>' for x, y in points]


def _label(name: str, at: Point, unit: float, css: str) -> str:
    x, y = at[0] + unit, at[1] + 4.5 * unit
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" font-size="{4 * unit:.1f}">{escape(name)}</text>'


def _arrow(middle: Point, direction: Point, size_wh: tuple[int, int]) -> str:
    """The belt's way, through the trigger's middle."""
    length = _ARROW * min(size_wh)
    x, y = middle
    dx, dy = direction[0] * length, direction[1] * length
    tip = (x + dx, y + dy)
    left, right = (x - dy / 2, y + dx / 2), (x + dy / 2, y - dx / 2)
    return f'<polygon class="draw-arrow" points="{_joined((tip, left, right))}"/>'
