"""What traces say: how long each stage takes, which one most, and all of them on a time line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.observe.traces import FrameTrace
from stages.trace import Stage

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage over all frames that went through it; times are milliseconds."""

    stage: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    share: float  # 0..1 of the time of all frames together


@dataclass(frozen=True, slots=True)
class Profile:
    """The stages in the order of the road, and what they add up to."""

    stages: tuple[StageFigures, ...]
    total: StageFigures

    @property
    def longest(self) -> tuple[StageFigures, ...]:
        """The stages by the time that goes to them, most first."""
        return tuple(sorted(self.stages, key=lambda figures: -figures.share))


def profile_of(traces: Iterable[FrameTrace]) -> Profile | None:
    """None where there are no traces."""
    took_s: defaultdict[str, list[float]] = defaultdict(list)
    totals_s = []
    for one in traces:
        totals_s.append(one.total_s)
        for mark, _, span_s in one.stretches():
            took_s[mark.stage].append(span_s)
    if not took_s:
        return None
    whole_s = sum(totals_s)
    road = [stage.value for stage in Stage if stage.value in took_s]
    road += sorted(took_s.keys() - set(road))  # a newer writer's
    stages = tuple(_figures(stage, took_s[stage], whole_s) for stage in road)
    return Profile(stages, _figures(TOTAL, totals_s, whole_s))


def chrome_trace(traces: Sequence[FrameTrace]) -> dict[str, Any]:
    """For chrome://tracing and https://ui.perfetto.dev: a process for each of ours, a row for each of its cameras."""
    spans = [
        _Span(mark.process, one.camera, mark.stage, round(begun * 1e6), round((begun + span_s) * 1e6), one)
        for one in traces
        for mark, begun, span_s in one.stretches()
    ]
    rows = _Rows()
    events = [rows.event(span) for span in sorted(spans, key=lambda span: (span.begun_us, span.ended_us))]
    return {"displayTimeUnit": "ms", "traceEvents": [*rows.names(), *events]}


@dataclass(frozen=True, slots=True)
class _Span:
    process: str
    camera: str
    stage: str
    begun_us: int
    ended_us: int
    frame: FrameTrace


class _Rows:
    """Numbers for processes and cameras. Frames overlap, a row's spans may not: where they would, a camera has more."""

    def __init__(self) -> None:
        self._processes: dict[str, int] = {}
        self._free_at: dict[tuple[str, str], list[tuple[int, int]]] = {}  # camera's rows: number, end of its last span
        self._names: list[tuple[int, int, str]] = []

    def event(self, span: _Span) -> dict[str, Any]:
        """As a complete event ("X") on the first row that has room."""
        pid = self._processes.setdefault(span.process, len(self._processes) + 1)
        return {
            "name": span.stage,
            "cat": "rayline",
            "ph": "X",
            "ts": span.begun_us,
            "dur": span.ended_us - span.begun_us,
            "pid": pid,
            "tid": self._row(pid, span),
            "args": {
                "camera": span.camera,
                "seq": span.frame.seq,
                "batch": f"{span.frame.shard} {span.frame.batch_no}",
            },
        }

    def names(self) -> list[dict[str, Any]]:
        """What the numbers stand for, as metadata events ("M")."""
        processes = [_named("process_name", pid, 0, name) for name, pid in self._processes.items()]
        return processes + [_named("thread_name", pid, tid, name) for pid, tid, name in self._names]

    def _row(self, pid: int, span: _Span) -> int:
        rows = self._free_at.setdefault((span.process, span.camera), [])
        for place, (tid, free_at) in enumerate(rows):
            if free_at <= span.begun_us:
                rows[place] = (tid, span.ended_us)
                return tid
        tid = len(self._names) + 1
        rows.append((tid, span.ended_us))
        self._names.append((pid, tid, span.camera if len(rows) == 1 else f"{span.camera} ({len(rows)})"))
        return tid


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}


def _figures(stage: str, took_s: list[float], whole_s: float) -> StageFigures:
    took_ms = sorted(1e3 * one for one in took_s)
    p50, p95, p99 = (took_ms[min(len(took_ms) - 1, len(took_ms) * q // 100)] for q in (50, 95, 99))
    return StageFigures(stage, len(took_ms), p50, p95, p99, sum(took_s) / whole_s if whole_s else 0.0)
