"""What was published, held against what was there: the demo's own acceptance."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.demo.line import BottleLine, PartTruth

LONG_RUN_S = 60.0  # of frames, at the camera that gave them longest: enough to have shown all kinds of parts
MIN_PARTS, MIN_REJECTS, MIN_REJECT_KINDS, MIN_TOUCHING_PAIRS = 60, 12, 4, 5  # what a long run must have shown
NEAREST_S = 0.25  # a verdict belongs to the part that crossed within this; touching bottles cross 0.4 s apart


@dataclass(slots=True)
class CameraRecord:
    """What one camera published, as a consumer of its streams saw it. Times are Unix seconds."""

    line: BottleLine
    started_at: float  # wall time of the line's second 0
    fps: float
    first_at: float | None = None
    last_at: float | None = None
    frames: int = 0
    message_ids: set[str] = field(default_factory=set)
    duplicates: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    inspections: list[Mapping[str, Any]] = field(default_factory=list)

    def saw_frame(self, message: Mapping[str, Any], captured_at: float) -> None:
        """Take note of one detection message."""
        if self._is_repeat(message["message_id"]):
            return
        self.frames += 1
        self.first_at = captured_at if self.first_at is None else min(self.first_at, captured_at)
        self.last_at = captured_at if self.last_at is None else max(self.last_at, captured_at)
        self.dropped.update(message["dropped_since_last"])
        if "total" in message["latency_ms"]:
            self.latencies_ms.append(message["latency_ms"]["total"])

    def saw_inspection(self, message: Mapping[str, Any]) -> None:
        """Take note of one verdict."""
        if not self._is_repeat(message["message_id"]):
            self.inspections.append(message)

    @property
    def watched_s(self) -> float:
        """Seconds from the first processed frame to the last."""
        return 0.0 if self.first_at is None or self.last_at is None else round(self.last_at - self.first_at, 2)

    def counted_parts(self) -> list[PartTruth]:
        """The parts whose way from entry to trigger lies between the first and the last processed frame.

        A crossing shows between two frames, so the last frame must come one frame after it.
        """
        if self.first_at is None or self.last_at is None:
            return []
        since, until = self.first_at - self.started_at, self.last_at - self.started_at - 1 / self.fps
        return [part for part in self.line.parts(max(0.0, since), until) if part.entered_at_s >= since]

    def _is_repeat(self, message_id: str) -> bool:
        repeated = message_id in self.message_ids
        self.duplicates += repeated
        self.message_ids.add(message_id)
        return repeated


@dataclass(frozen=True, slots=True)
class Matched:
    """One camera's parts with the verdicts they got, and the verdicts no part stands behind."""

    pairs: Sequence[tuple[PartTruth, Mapping[str, Any] | None]]
    unexpected: int  # a part judged a second time, or one that is not there


def match(record: CameraRecord, captured_at: Mapping[str, float]) -> Matched:
    """Give each part the verdict nearest in time to its crossing; `captured_at` is by message id, Unix seconds."""
    counted = record.counted_parts()
    all_parts = record.line.parts(0.0, (record.last_at or record.started_at) - record.started_at + 2.0)
    taken: dict[int, Mapping[str, Any]] = {}
    unexpected = 0
    for message in sorted(record.inspections, key=lambda m: captured_at[m["message_id"]]):
        at = captured_at[message["message_id"]] - record.started_at
        near = min(all_parts, key=lambda part: abs(part.trigger_at_s - at), default=None)
        if near is None or abs(near.trigger_at_s - at) > NEAREST_S or near.index in taken:
            unexpected += _among(counted, at)
            continue
        taken[near.index] = message
    return Matched([(part, taken.get(part.index)) for part in counted], unexpected)


def summary(records: Mapping[str, CameraRecord], captured_at: Mapping[str, float]) -> dict[str, Any]:
    """The demo's JSON: counts over all cameras, then camera by camera."""
    matched = {name: match(record, captured_at) for name, record in records.items()}
    total = figures_of([pair for m in matched.values() for pair in m.pairs])
    latencies = [ms for record in records.values() for ms in record.latencies_ms]
    return {
        **total,
        "duplicates": sum(r.duplicates for r in records.values()) + sum(m.unexpected for m in matched.values()),
        "watched_s": max((record.watched_s for record in records.values()), default=0.0),
        "frames_published": sum(record.frames for record in records.values()),
        "frames_dropped": dict(sum((record.dropped for record in records.values()), Counter[str]())),
        "latency_ms": _percentiles(latencies),
        "mistakes": [mistake for name, m in matched.items() for mistake in _mistakes(name, m.pairs)],
        "cameras": [
            {
                "camera": name,
                **figures_of(matched[name].pairs),
                "duplicates": record.duplicates + matched[name].unexpected,
                "frames_published": record.frames,
                "frames_dropped": dict(record.dropped),
                "latency_ms": _percentiles(record.latencies_ms),
            }
            for name, record in records.items()
        ],
    }


def accepted(figures: Mapping[str, Any]) -> bool:
    """True when every part got its one verdict, none passed that should not, and 99 % are right.

    A run of LONG_RUN_S must also have had enough to judge; a shorter one is judged on what it showed.
    """
    truth = figures["parts_truth"]
    return bool(
        truth
        and figures["parts_inspected"] == truth
        and figures["false_pass"] == 0
        and figures["duplicates"] == 0
        and figures["verdicts_correct"] >= 0.99 * truth
        and (figures["watched_s"] < LONG_RUN_S or _showed_enough(figures))
    )


def _showed_enough(figures: Mapping[str, Any]) -> bool:
    return bool(
        figures["parts_truth"] >= MIN_PARTS
        and figures["rejects_truth"] >= MIN_REJECTS
        and len(figures["reject_kinds_truth"]) >= MIN_REJECT_KINDS
        and figures["touching_pairs_truth"] >= MIN_TOUCHING_PAIRS
    )


def figures_of(pairs: Sequence[tuple[PartTruth, Mapping[str, Any] | None]]) -> dict[str, Any]:
    """What was judged, against what was there: each part with its verdict's message, or None."""
    judged = [(part, message["verdict"]) for part, message in pairs if message is not None]
    rejects = [part for part, _ in pairs if part.verdict == "reject"]
    return {
        "parts_truth": len(pairs),
        "parts_inspected": len(judged),
        "verdicts_correct": sum(verdict == part.verdict for part, verdict in judged),
        "rejects_truth": len(rejects),
        "rejects_found": sum(verdict == part.verdict == "reject" for part, verdict in judged),
        "reject_kinds_truth": sorted({defect.value for part in rejects for defect in part.defects}),
        "touching_pairs_truth": _touching_pairs([part for part, _ in pairs]),
        "indeterminate": sum(verdict == "indeterminate" for _, verdict in judged),
        "false_pass": sum(verdict == "pass" and part.verdict == "reject" for part, verdict in judged),
    }


def _mistakes(camera: str, pairs: Sequence[tuple[PartTruth, Mapping[str, Any] | None]]) -> list[dict[str, Any]]:
    """Parts whose verdict is missing or wrong, for looking into them."""
    return [
        {
            "camera": camera,
            "second": round(part.trigger_at_s, 2),
            "touching": part.touching,
            "truth": [part.verdict, *sorted(part.defects)],
            "said": None if message is None else [message["verdict"], *message["reasons"]],
            "votes": None if message is None else message["votes"],
        }
        for part, message in pairs
        if message is None or message["verdict"] != part.verdict
    ]


def _touching_pairs(parts: Sequence[PartTruth]) -> int:
    """Neighbours that both touch; three in a row are two pairs."""
    ordered = sorted(parts, key=lambda part: part.trigger_at_s)
    return sum(
        a.touching and b.touching and b.trigger_at_s - a.trigger_at_s < 1.0 for a, b in itertools.pairwise(ordered)
    )


def _among(counted: Sequence[PartTruth], at: float) -> bool:
    """True where a verdict lies among the counted parts: before them are those that were under way at the start, whose
    crossings are dated before the camera's clock is known, and which nobody counts.
    """
    return bool(counted) and counted[0].trigger_at_s - NEAREST_S <= at <= counted[-1].trigger_at_s + NEAREST_S


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None}
    ordered = sorted(values)
    return {f"p{q}": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 1) for q in (50, 95)}
