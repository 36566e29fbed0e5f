"""How every chart looks: plain dicts that ECharts takes. Colours are the theme's, so both themes share one chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Options = dict[str, Any]

# Drawn as SVG, so that the style sheet's variables work in it and nothing is sent anew when the theme changes.
INK, MUTED, LINE, PANEL = "var(--ink)", "var(--soft)", "var(--edge)", "var(--panel)"
GOOD, BAD, WARN, INFO = "var(--good)", "var(--bad)", "var(--warn)", "var(--info)"

_FONT = 13
_LINE = 16  # said, for ECharts measures a line's height by a Chinese letter, which a plant's screen may lack
_FAMILY = "system-ui, 'DejaVu Sans', 'Liberation Sans', sans-serif"  # as rayline.css; "inherit" cannot be measured
_TOOLTIP = {
    "confine": True,
    "backgroundColor": PANEL,
    "borderColor": LINE,
    "textStyle": {"color": INK, "fontSize": _FONT},
    "extraCssText": "white-space: pre-line; max-width: 22rem",
    "transitionDuration": 0,
}


def chart(alt: str, **parts: Any) -> Options:
    """A chart of these parts. `alt` is told to who cannot see it.

    Nothing moves by itself: a chart that is drawn anew every few seconds must not draw the eye.
    """
    return {
        "animation": False,
        "aria": {"enabled": True, "label": {"description": alt}},
        "textStyle": {"color": INK, "fontFamily": _FAMILY, "fontSize": _FONT},
        "grid": {"left": 8, "right": 16, "top": 40, "bottom": 8, "containLabel": True},
        "legend": legend(()),
        "tooltip": {"trigger": "item", "formatter": "{b}", **_TOOLTIP},
        **parts,
    }


def legend(names: Sequence[str]) -> Options:
    """Above the chart, with the series of these names."""
    return {
        "show": bool(names),
        "data": list(names),
        "top": 0,
        "left": 8,
        "itemWidth": 18,
        "itemHeight": 12,
        "selectedMode": False,
        "textStyle": {"color": INK, "fontSize": _FONT},
    }


def categories(labels: Sequence[str], **more: Any) -> Options:
    """The axis below, one band a label."""
    return {
        "type": "category",
        "data": list(labels),
        "axisLine": {"lineStyle": {"color": MUTED}},
        "axisTick": {"show": False},
        "axisLabel": {"color": MUTED, "fontSize": _FONT, "lineHeight": _LINE, "hideOverlap": True},
        **more,
    }


def values(name: str = "", **more: Any) -> Options:
    """The axis beside, from 0 on. More overrides."""
    return {
        "type": "value",
        "name": name,
        "nameTextStyle": {"color": MUTED, "fontSize": _FONT, "align": "left"},
        "min": 0,
        "axisLine": {"show": False, "onZero": False},
        "axisTick": {"show": False},
        "axisLabel": {"color": MUTED, "fontSize": _FONT},
        "splitLine": {"lineStyle": {"color": LINE}},
        **more,
    }


def still(color: str, hatch: Options | None = None) -> Options:
    """Of a series: its colour, also under the pointer (ECharts cannot lighten a variable), and its hatching if any."""
    style = {"color": color} if hatch is None else {"color": color, "decal": hatch}
    return {"itemStyle": style, "emphasis": {"disabled": True}}


def hatched(degrees: float) -> Options:
    """Stripes, so that areas differ to whoever sees no colours."""
    return {
        "symbol": "rect",
        "color": "rgba(0, 0, 0, 0.35)",
        "dashArrayX": [1, 0],
        "dashArrayY": [3, 5],
        "rotation": math.radians(degrees),
    }
