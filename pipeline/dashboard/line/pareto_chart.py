"""The defects' Pareto chart: bars from the most frequent on, and what they come to together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.dashboard.line.chart_style import BAD, INK, MUTED, Options, categories, chart, legend, still, values
from pipeline.dashboard.line.figures_text import count, percent
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.history.pareto import DefectCount

_FIT = 24  # signs beside each other on a phone
MOST = 10  # bars; the rest would be lines nobody can read


def pareto_chart(defects: Sequence[DefectCount]) -> Options:
    """The most frequent ones, in the order given."""
    shown = defects[:MOST]
    labels = [defect.label for defect in shown]
    slant = _slant(labels)
    parts, together = t("line.pareto.parts"), t("line.pareto.cumulative")
    return chart(
        t("line.pareto.alt", defects=", ".join(f"{each.label} {each.parts}" for each in shown)),
        grid={"left": 8 + slant, "right": 16, "top": 40, "bottom": 8, "containLabel": True},
        legend=legend([parts, together]),
        xAxis=categories(labels, axisLabel={"color": INK, "fontSize": 13, "interval": 0, "rotate": slant}),
        yAxis=[
            # As high as all defects together, so that the line begins on top of the first bar.
            values(max=_total(defects), minInterval=1, axisLabel={"color": MUTED, "showMaxLabel": False}),
            values(max=100, splitLine={"show": False}, axisLabel={"color": MUTED, "formatter": "{value} %"}),
        ],
        series=[
            {
                "type": "bar",
                "name": parts,
                "barMaxWidth": 56,
                "data": [{"value": each.parts, "name": _bar_words(each)} for each in shown],
                "label": {"show": True, "position": "top", "distance": 9, "color": INK},
                **still(BAD),
            },
            {
                "type": "line",
                "name": together,
                "yAxisIndex": 1,
                "symbol": "circle",
                "symbolSize": 7,
                "lineStyle": {"color": INK, "width": 2},
                "data": [{"value": round(100 * each.cumulative, 1), "name": _line_words(each)} for each in shown],
                **still(INK),
            },
        ],
    )


def _total(defects: Sequence[DefectCount]) -> int | None:
    return sum(each.parts for each in defects) or None


def _slant(labels: Sequence[str]) -> int:
    """Degrees: labels that would run into each other stand aslant, and need as many pixels more on the left."""
    return 25 if sum(map(len, labels)) > _FIT else 0


def _bar_words(defect: DefectCount) -> str:
    return t("line.pareto.bar", label=defect.label, parts=count(defect.parts), share=percent(defect.share))


def _line_words(defect: DefectCount) -> str:
    return t("line.pareto.point", label=defect.label, cumulative=percent(defect.cumulative))
