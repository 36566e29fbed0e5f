"""The figures as they stand in docs/performance.md, between two marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BEGIN, END = "<!-- figures: begin (written by bench/report.py) -->", "<!-- figures: end -->"

_COMMANDS = {
    "pipeline": "python -m bench.pipeline",
    "scale": "python -m bench.scale",
    "latency": "python -m bench.latency",
    "soak": "python -m bench.soak",
}


def refreshed(page: str, section: str) -> str:
    """The page with the section between its marks. Raises ValueError if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{section.strip()}\n\n{END}{after}"


def section(results: Mapping[str, Mapping[str, Any]], images: Mapping[str, str]) -> str:
    """All that was measured, and what was not. `images`: benchmark's name -> path of its plot beside the page."""
    parts = [
        _part("The main job", "pipeline", _pipeline, results, images),
        _part("More cameras", "scale", _scale, results, images),
        _part("From picture to message, by other clocks", "latency", _latency, results, images),
        _part("Half an hour", "soak", _soak, results, images),
    ]
    return "\n\n".join(parts)


def _part(title: str, name: str, tell: Any, results: Mapping[str, Mapping[str, Any]], images: Mapping[str, str]) -> str:
    if name not in results:
        return f"### {title}\n\nNot measured yet: `{_COMMANDS[name]}`."
    lines = [f"### {title}", "", *tell(results[name]), "", f"Machine: {_machine(results[name]['machine'])}."]
    if name in images:
        lines += ["", f"![{title}]({images[name]})"]
    return "\n".join(lines)


def _machine(machine: Mapping[str, Any]) -> str:
    load = f", load {machine['load_1min']} at the start" if "load_1min" in machine else ""
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}{load}"


def _pipeline(found: Mapping[str, Any]) -> Iterator[str]:
    bare, saturated, half = found["bare_fps"], found["latency_ms"]["saturated"], found["latency_ms"]["half_load"]
    yield f"{found['cameras']} RTSP cameras, 640x360 at 30 frames/s, {found['weights']} at 640x384."
    yield ""
    yield from _table(
        ["what", "measured"],
        [
            ["bare model, best runtime and batch", f"{bare} images/s {_range(found, 'bare_fps_spread')}"],
            ["pipeline, saturated", f"{found['fps']} frames/s {_range(found, 'fps_spread')}"],
            ["ratio", f"**{found['ratio']}**"],
            ["latency saturated, p50 / p95 / p99", f"{_percentiles(saturated)} ms"],
            [f"latency at half load ({found['half_load_fps']} frames/s)", f"{_percentiles(half)} ms"],
            *([["bare model, one image", f"{found['bare_ms_one_image']} ms"]] if "bare_ms_one_image" in found else []),
            ["memory, all processes", f"{found['rss_mb']['total']} MB RSS"],
            *(_in_8_bits(found["int8"]) if "int8" in found else []),
        ],
    )


def _in_8_bits(found: Mapping[str, Any]) -> Iterator[list[str]]:
    """The model that `rayline quantize` made, in the same run."""
    bare = f"{found['bare_fps']} images/s {_range(found, 'bare_fps_spread')}"
    fps = f"{found['fps']} frames/s {_range(found, 'fps_spread')}"
    yield ["in 8 bits, bare model", f"{bare}, {found['bare_times_as_fast']} times as fast"]
    yield ["in 8 bits, pipeline, saturated", f"{fps}, {found['times_as_fast']} times as fast"]


def _scale(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{found['frames_per_camera_per_s']:g} frames/s of each camera, which sends {found['camera_fps']:g}; "
        f"{found['model']}: {found['model_ms']} ms an image; {found['shard_size']} cameras a shard."
    )
    yield ""
    rows = [
        [
            str(step["cameras"]),
            f"{step['fps']}",
            f"{step['rayline_cpu_ms_per_frame']['median']} {_range(step, 'rayline_cpu_ms_per_frame')}",
            f"{step['cores_used']}",
            f"{step['rss_mb']:.0f} / {step['pss_mb']:.0f}",
            f"{_percentiles(step['latency_ms'])}",
        ]
        for step in found["steps"]
    ]
    head = ["cameras", "frames/s", "CPU ms/frame", "cores used", "RSS / PSS MB", "latency p50 / p95 / p99 ms"]
    yield from _table(head, rows)
    if "cpu_ratio" in found:
        yield ""
        yield (
            f"From {found['from_cameras']} to {found['to_cameras']} cameras CPU per frame changes by a factor of "
            f"**{found['cpu_ratio']}**; an added camera takes **{found['rss_mb_per_added_camera']} MB RSS** "
            f"({found['pss_mb_per_added_camera']} MB PSS, in which a shared page counts once; "
            f"{found['anon_mb_per_added_camera']} MB of its own data)."
        )


def _latency(found: Mapping[str, Any]) -> Iterator[str]:
    bare = found["bare_model_ms"]["median"]
    yield f"{found['model']}: {bare} ms an image alone. The showing camera sends {found['camera_fps']:g} frames/s."
    yield ""
    rows = [
        [
            f"{name.replace('_', ' ')}: {_cameras(load['cameras'])}, {load['frames_per_s']:g} frames/s",
            f"{load['shows'] - load['missed']} of {load['shows']}",
            _percentiles(load["outside_ms"]),
            f"{load['outside_ms']['p50'] - bare:+.1f}",
            _percentiles(load["own_ms"]),
            _median(load["outside_minus_own_ms"]),
            _median(load["clock_error_ms"]),
        ]
        for name, load in found["loads"].items()
    ]
    head = ["load", "shows told", "outside p50 / p95 / p99 ms", "p50 beyond the model", "Rayline's own p50 / p95 / p99"]
    yield from _table([*head, "outside - own, median (range)", "`captured_at` late by, ms"], rows)


def _soak(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{found['minutes']:g} minutes, {found['cameras']} cameras at {found['frames_per_camera_per_s']:g} frames/s, "
        f"inspection on; the first {found['warm_up_s']} s are not judged. Slopes with their 95 % intervals."
    )
    yield ""
    rows = [
        [name, *(_slope(slopes[what]) for what in ("rss_mb", "anon_mb", "fds", "threads"))]
        for name, slopes in found["per_min"].items()
    ]
    yield from _table(["process", "RSS MB/min", "own data MB/min", "files/min", "threads/min"], rows)
    verdict = {True: "flat", False: "**not flat**", None: "unknown"}
    limits, flat = found["flat_below_per_min"], found["is_flat"]
    yield ""
    yield (
        f"RSS: {verdict[flat['rss_mb']]}; own data (RSS without what processes share): {verdict[flat['anon_mb']]}; "
        f"open files: {verdict[flat['fds']]}. Flat is an interval that holds 0, or a slope under "
        f"{limits['rss_mb']} MB or {limits['fds']} files a minute."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _percentiles(found: Mapping[str, float]) -> str:
    return " / ".join(f"{found[key]:g}" for key in ("p50", "p95", "p99") if key in found) or "none"


def _range(found: Mapping[str, Any], key: str) -> str:
    return f"({found[key]['low']:g} to {found[key]['high']:g})" if key in found else ""


def _median(found: Mapping[str, float] | None) -> str:
    return "none" if found is None else f"{found['median']:g} ({found['low']:g} to {found['high']:g})"


def _cameras(count: int) -> str:
    return "1 camera" if count == 1 else f"{count} cameras"


def _slope(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "unknown"
    mark = "" if found["is_flat"] else " **grows**" if found["slope"] > 0 else " falls"
    return f"{found['slope']:g} ({found['low']:g} to {found['high']:g}){mark}"
