"""What the rounds of one run say: medians, spreads, shares of the bare model, Rayline's ratio over each peer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from bench.figures import spread

RAYLINE, ROBOFLOW, ULTRALYTICS = "rayline", "roboflow", "ultralytics"
RAYLINE_INT8 = "rayline in 8 bits"  # another model than the others run, whose share is of the 32-bit one
OVER = {"rayline_over_it": RAYLINE, "rayline_int8_over_it": RAYLINE_INT8}
GOALS = {
    ROBOFLOW: 1.4,
    ULTRALYTICS: 4.0,
}  # least ratio of Rayline's frames/s to theirs, by tool: "tool, way of running"
RECORDED_SHARES = {ROBOFLOW: 0.61}  # of the bare model's frames/s, as once measured; stands in where it cannot be run

Runs = Mapping[str, Sequence[Mapping[str, Any]]]  # name -> what its adapter answered, by round


def compared(runs: Runs, bare_fps: Sequence[float]) -> dict[str, Any]:
    """The report's figures. An answer with `error` counts for nothing but is told."""
    bare = median(bare_fps)
    candidates = {name: _candidate(answers, bare) for name, answers in runs.items()}
    for name, share in RECORDED_SHARES.items():  # of the tool's first way of running
        if "fps" not in candidates.get(name, {}):
            candidates[name] = {**candidates.get(name, {}), **_recorded(share, bare)}
    for name, candidate in candidates.items():
        for key, ours in OVER.items():
            ratios = _ratios(candidate, candidates.get(ours, {}))
            if name != ours and ratios:
                candidate[key] = ratios
    return {"bare_fps": spread(bare_fps), "candidates": candidates, "goals": dict(_goals(candidates))}


def fps(answer: Mapping[str, Any]) -> float:
    """Frames a second, all cameras together."""
    return float(answer["frames"] / answer["seconds"])


def table(report: Mapping[str, Any]) -> Iterator[str]:
    """The same for people, as Markdown."""
    yield "| | frames/s | of bare | Rayline over it | in 8 bits | grab to result, p50 / p95 ms | CPU ms/frame |"
    yield "|---|---|---|---|---|---|---|"
    bare = report["bare_fps"]
    yield f"| bare model | {_spread(bare)} | 1 | | | | |"
    for name, found in report["candidates"].items():
        if "fps" not in found:
            yield f"| {name} | not measured: {found['errors'][0]} | | | | | |"
            continue
        mark = "" if found["measured"] else " (recorded, not measured)"
        over = " | ".join(_spread(found[key]) if key in found else "" for key in OVER)
        latency = " / ".join(f"{found['latency_ms'][q]:g}" for q in ("p50", "p95")) if found.get("latency_ms") else "-"
        cpu = f"{found['cpu_ms_per_frame']:g}" if "cpu_ms_per_frame" in found else "-"
        yield f"| {name}{mark} | {_spread(found['fps'])} | {found['share_of_bare']:g} | {over} | {latency} | {cpu} |"


def _candidate(answers: Sequence[Mapping[str, Any]], bare: float) -> dict[str, Any]:
    good = [answer for answer in answers if "error" not in answer]
    errors = [answer["error"] for answer in answers if "error" in answer]
    told: dict[str, Any] = {"errors": errors} if errors else {}
    if not good:
        return told
    each = [fps(answer) for answer in good]
    return told | {
        "measured": True,
        "fps": spread(each),
        "fps_by_round": [round(fps(answer), 2) if "error" not in answer else None for answer in answers],
        "share_of_bare": round(median(each) / bare, 3),
        "latency_ms": _latency(good),
        "cpu_ms_per_frame": round(median(answer["cpu_s"] * 1e3 / max(1, answer["frames"]) for answer in good), 1),
        "frames_by_camera": good[-1]["frames_by_camera"],
        **{key: good[-1][key] for key in ("version", "runtime", "tracker")},
    }


def _latency(answers: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    known = [answer["latency_ms"] for answer in answers if answer["latency_ms"]]
    return {q: round(median(one[q] for one in known), 1) for q in ("p50", "p95")} if known else None


def _recorded(share: float, bare: float) -> dict[str, Any]:
    return {"measured": False, "fps": spread([share * bare]), "share_of_bare": share}


def _ratios(candidate: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, float] | None:
    """Of the medians, and the lowest and highest of one round; None where either gave nothing."""
    if not candidate.get("fps", {}).get("median") or "fps" not in ours:
        return None
    theirs = candidate.get("fps_by_round", [candidate["fps"]["median"]] * len(ours["fps_by_round"]))
    rounds = [mine / its for mine, its in zip(ours["fps_by_round"], theirs, strict=True) if mine and its]
    middle = round(ours["fps"]["median"] / candidate["fps"]["median"], 2)
    return {**spread(rounds or [middle]), "median": middle}


def _goals(candidates: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A tool run in several ways counts as the fastest of them."""
    for tool, least in GOALS.items():
        ratios = [
            found["rayline_over_it"]["median"]
            for name, found in candidates.items()
            if name.split(",")[0] == tool and "rayline_over_it" in found
        ]
        yield tool, {"least": least, "is_met": min(ratios) >= least if ratios else None}


def _spread(found: Mapping[str, float]) -> str:
    return f"{found['median']:g} ({found['low']:g} to {found['high']:g})"
