"""Throughput: parts per hour by verdict, a bar for each piece of the range, against the line's target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pipeline.dashboard.line.chart_style import (
    BAD,
    GOOD,
    INK,
    PANEL,
    WARN,
    Options,
    categories,
    chart,
    hatched,
    legend,
    still,
    values,
)
from pipeline.dashboard.line.figures_text import axis_labels, clock, count
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.history.line_figures import Counts, Throughput

_HOUR_MS = 3_600_000
_STRIPES_DEG = 45.0
_HEADROOM = 1.1
_RUNNING = 0.55  # opacity of the bar that still grows

_VERDICTS: tuple[tuple[str, Callable[[Counts], int], str, Options | None], ...] = (
    ("pass", lambda counts: counts.passes, GOOD, None),
    ("indeterminate", lambda counts: counts.indeterminate, WARN, hatched(_STRIPES_DEG)),
    ("reject", lambda counts: counts.rejects, BAD, hatched(-_STRIPES_DEG)),
)


def throughput_chart(pieces: Sequence[Throughput], target_per_hour: float | None, zone: ZoneInfo) -> Options:
    """Each bar is a rate, so that pieces of any length meet the target; the last one may still grow."""
    labels = axis_labels([piece.since_ms for piece in pieces], zone)
    words = [t(f"sign.{verdict}") for verdict, *_ in _VERDICTS]
    whole = max((piece.until_ms - piece.since_ms for piece in pieces), default=0)
    last = len(pieces) - 1
    return chart(
        _alt(pieces, zone),
        legend=legend(words),
        xAxis=categories(labels),
        yAxis=values(max=_top(pieces, target_per_hour)),
        series=[
            {
                "type": "bar",
                "name": word,
                "stack": "parts",
                "barMaxWidth": 56,
                "data": [
                    _bar(piece, word, of(piece.counts), zone, is_running=place == last and _is_short(piece, whole))
                    for place, piece in enumerate(pieces)
                ],
                **still(color, hatch),
                **({"markLine": _target(target_per_hour)} if verdict == "pass" else {}),
            }
            for (verdict, of, color, hatch), word in zip(_VERDICTS, words, strict=True)
        ],
    )


def _bar(piece: Throughput, word: str, parts: int, zone: ZoneInfo, *, is_running: bool) -> dict[str, Any]:
    rate = parts * _HOUR_MS / max(1, piece.until_ms - piece.since_ms)
    name = t(
        "line.throughput.running" if is_running else "line.throughput.bar",
        since=clock(piece.since_ms, zone),
        until=clock(piece.until_ms, zone),
        verdict=word,
        parts=count(parts),
        rate=count(rate),
    )
    return {"value": round(rate, 1), "name": name, "itemStyle": {"opacity": _RUNNING if is_running else 1.0}}


def _is_short(piece: Throughput, whole_ms: int) -> bool:
    return piece.until_ms - piece.since_ms < whole_ms


def _target(per_hour: float | None) -> Options:
    """The same part of the chart where there is none, so that one that is set later appears in place."""
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": INK, "type": "dashed", "width": 2},
        "label": {
            "position": "insideEndTop",
            "color": INK,
            "fontWeight": "bold",
            "formatter": "{b}",
            "backgroundColor": PANEL,
        },
        "data": []
        if per_hour is None
        else [{"yAxis": per_hour, "name": t("line.throughput.target_line", target=count(per_hour))}],
    }


def _top(pieces: Sequence[Throughput], target_per_hour: float | None) -> float | None:
    """ECharts makes room for bars by itself, not for the target."""
    highest = max((piece.per_hour for piece in pieces), default=0.0)
    if target_per_hour is None or highest >= target_per_hour:
        return None
    return round(target_per_hour * _HEADROOM)


def _alt(pieces: Sequence[Throughput], zone: ZoneInfo) -> str:
    if not pieces:
        return t("line.throughput.empty")
    parts = sum(piece.counts.parts for piece in pieces)
    since, until = clock(pieces[0].since_ms, zone), clock(pieces[-1].until_ms, zone)
    return t("line.throughput.alt", since=since, until=until, parts=count(parts))
