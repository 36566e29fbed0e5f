"""A control chart: points, limits that step with their size, centre line, phases, and the points that break a rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from pipeline.dashboard.line.chart_style import (
    BAD,
    INFO,
    INK,
    MUTED,
    WARN,
    Options,
    categories,
    chart,
    legend,
    still,
    values,
)
from pipeline.dashboard.line.figures_text import NONE, count, percent
from pipeline.dashboard.texts import t
from pipeline.history.spc import ChartKind, ControlChart, Phase, Point

# Which rule a point breaks shows in its shape, and in the number above it; the first is the gravest.
SYMBOLS = {1: "diamond", 2: "triangle", 3: "rect", 4: "pin"}
_OTHER_RULE = "roundRect"
_HEADROOM = 1.15
_LATE = 0.75  # of the chart's width: from there a phase's name would run out of it to the right


def control_options(shown: ControlChart, labels: Sequence[str], phase_names: Sequence[str]) -> Options:
    """`labels` tell each point's time, `phase_names` what each phase was made with."""
    top = _top(shown)
    limits, center, points = t("line.spc.limits"), t("line.spc.center"), t(f"line.spc.value.{shown.kind}")
    kinds = sorted({phase.is_frozen for phase in shown.phases} or {False})
    last = len(shown.points) - 0.5
    return chart(
        t("line.spc.alt", chart=t(f"line.spc.kind.{shown.kind}"), points=len(shown.points), broken=_broken(shown)),
        grid={"left": 8, "right": 16, "top": 56, "bottom": 8, "containLabel": True},
        legend=legend([points, center, limits]),
        xAxis=[categories(labels), {"type": "value", "min": -0.5, "max": max(last, 0.5), "show": False}],
        yAxis=values(max=top, axisLabel={"color": MUTED, "formatter": _axis(shown.kind)}),
        series=[
            *(_limits(limits, shown, what, is_frozen) for is_frozen in kinds for what in ("upper", "lower")),
            _line(center, {"color": MUTED, "width": 1.5}, _steps(shown, "center", shown.phases), MUTED)
            | {"markLine": _boundaries(shown, phase_names)},
            {
                "type": "line",
                "name": points,
                "data": [_point(shown, place, labels[place]) for place in range(len(shown.points))],
                "symbol": "circle",
                "symbolSize": 7,
                "showAllSymbol": True,
                "lineStyle": {"color": INFO, "width": 1.5},
                "z": 5,
                **still(INFO),
            },
        ],
    )


def _limits(name: str, shown: ControlChart, what: str, is_frozen: bool) -> dict[str, Any]:
    """Of the phases whose limits are frozen, or of those whose limits move."""
    style = {"color": WARN, "width": 1.5, "type": "solid" if is_frozen else "dashed"}
    phases = [phase for phase in shown.phases if phase.is_frozen is is_frozen]
    return _line(name, style, _steps(shown, what, phases), WARN)


def _line(name: str, style: Options, data: list[list[float | None]], color: str) -> dict[str, Any]:
    return {
        "type": "line",
        "name": name,
        "xAxisIndex": 1,
        "data": data,
        "symbol": "none",
        "silent": True,
        "lineStyle": style,
        **still(color),
    }


def _steps(shown: ControlChart, what: str, phases: Sequence[Phase]) -> list[list[float | None]]:
    """Level across each point's own width; broken where nothing was seen and where a phase ends."""
    steps: list[list[float | None]] = []
    for phase in phases:
        for place in range(phase.start, phase.stop):
            value = _told(shown.kind, getattr(shown.points[place], what))
            steps += [[place - 0.5, value], [place + 0.5, value]]
        steps.append([phase.stop - 0.5, None])
    return steps


def _boundaries(shown: ControlChart, names: Sequence[str]) -> Options:
    """A line where each phase begins, with what it was made with."""
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": MUTED, "type": "dotted", "width": 1.5},
        "label": {"show": True, "position": "end", "color": INK, "formatter": "{b}", "align": "left", "distance": 4},
        "data": [
            {
                "xAxis": phase.start - 0.5,
                "name": _phase_name(name, phase.is_frozen),
                "label": {"align": "right" if phase.start > _LATE * len(shown.points) else "left"},
            }
            for phase, name in zip(shown.phases, names, strict=True)
        ],
    }


def _phase_name(name: str, is_frozen: bool) -> str:
    return t("line.spc.frozen_phase", phase=name) if is_frozen else name


def _point(shown: ControlChart, place: int, label: str) -> Options:
    point = shown.points[place]
    if point.value is None:
        return {"value": None, "name": label}
    told: Options = {"value": _told(shown.kind, point.value), "name": point_words(shown.kind, point, label)}
    if point.rules:
        color = BAD if point.rules[0] == 1 else WARN
        told |= {
            "symbol": SYMBOLS.get(point.rules[0], _OTHER_RULE),
            "symbolSize": 14,
            "itemStyle": {"color": color},
            "label": {"show": True, "position": "top", "color": INK, "formatter": ",".join(map(str, point.rules))},
        }
    return told


def point_words(kind: ChartKind, point: Point, label: str) -> str:
    """What is told of a point that is pointed at."""
    words = t(
        f"line.spc.point.{kind}",
        at=label.replace("\n", " "),
        value=value_words(kind, point.value),
        count=count(point.count),
        size=count(point.size),
        lower=value_words(kind, point.lower),
        upper=value_words(kind, point.upper),
    )
    return "\n".join([words, *(t("line.spc.rule", number=number) for number in point.rules)])


def value_words(kind: ChartKind, value: float | None) -> str:
    """A share in percent, defects a part as they are."""
    if kind is not ChartKind.U:
        return percent(value, 2)
    return NONE if value is None else f"{value:.3f}"


def _broken(shown: ControlChart) -> int:
    return sum(1 for point in shown.points if point.rules)


def _top(shown: ControlChart) -> float | None:
    """Where the axis ends: above every point; a limit of a point of few parts may lie beyond, and is cut off."""
    seen = [point.value for point in shown.points if point.value is not None]
    uppers = [point.upper for point in shown.points if point.upper is not None]
    highest = max([*seen, *([median(uppers) * _HEADROOM] if uppers else [])], default=0.0) * _HEADROOM
    return _round_up(_told(shown.kind, highest) or 0.0) if highest > 0 else None


def _round_up(value: float) -> float:
    """To a number that an axis ends with gracefully."""
    return next(step for step in _round_numbers() if step >= value)


def _round_numbers() -> Iterator[float]:
    for power in range(-6, 12):
        for factor in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8):
            yield factor * 10.0**power


def _told(kind: ChartKind, value: float | None) -> float | None:
    """In percent where it is a share."""
    if value is None:
        return None
    return round(value, 6) if kind is ChartKind.U else round(100 * value, 4)


def _axis(kind: ChartKind) -> str | None:
    return None if kind is ChartKind.U else "{value} %"
