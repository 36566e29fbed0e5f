"""The plots of docs/performance.md; the same figures make the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SIZE_INCH = (8.0, 3.2)
_SETTINGS = {"svg.hashsalt": "rayline", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False}
_LEAST_SHARE = 0.02  # of the whole: smaller parts of a stack are drawn as one


def draw(results: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Draws what there is; benchmark's name -> path of its plot beside the page."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    with mpl.rc_context(_SETTINGS):
        for name, plot in _PLOTS.items():
            if name in results:
                figure, axes = pyplot.subplots(1, 2, figsize=_SIZE_INCH, layout="constrained")
                plot(axes, results[name])
                figure.savefig(folder / f"performance-{name}.svg", metadata={"Date": None})
                pyplot.close(figure)
                drawn[name] = f"{folder.name}/performance-{name}.svg"
    return drawn


def _pipeline(axes: Any, found: Mapping[str, Any]) -> None:
    speed, latency = axes
    speed.bar(["bare model", "pipeline"], [found["bare_fps"], found["fps"]], color=["#999999", "#1f77b4"])
    speed.set_ylabel("frames/s")
    names = ["p50", "p95", "p99"]
    for shift, (load, values) in zip((-0.2, 0.2), found["latency_ms"].items(), strict=True):
        places = [n + shift for n in range(len(names))]
        latency.bar(places, [values[name] for name in names], 0.4, label=load.replace("_", " "))
    latency.set_xticks(range(len(names)), names)
    latency.set_ylabel("latency, ms")
    latency.legend(frameon=False)


def _scale(axes: Any, found: Mapping[str, Any]) -> None:
    cpu, memory = axes
    steps = found["steps"]
    places = [str(step["cameras"]) for step in steps]
    names = sorted({name for step in steps for name in step["held"]})
    colours = {name: f"C{n}" if n < 10 else "#cccccc" for n, name in enumerate(names)}
    own = [{name: ms for name, ms in step["cpu_ms_per_frame"].items() if name in step["held"]} for step in steps]
    _stack(cpu, places, own, colours)
    cpu.set_ylabel("CPU ms a frame")
    _stack(memory, places, [{name: held["pss_mb"] for name, held in step["held"].items()} for step in steps], colours)
    memory.plot(places, [step["rss_mb"] for step in steps], "k.", label="RSS, all")
    memory.set_ylabel("PSS, MB")
    memory.legend(frameon=False, fontsize=7)
    for axis in axes:
        axis.set_xlabel("cameras")


def _latency(axes: Any, found: Mapping[str, Any]) -> None:
    for axis, (name, load) in zip(axes, found["loads"].items(), strict=True):
        for column, label in enumerate(("outside", "Rayline's own")):
            values = sorted(sample[column] for sample in load["samples_ms"])
            axis.step(values, [(n + 1) / len(values) for n in range(len(values))], where="post", label=label)
        axis.axvline(found["bare_model_ms"]["median"], color="#999999", linestyle=":", label="bare model")
        axis.set_title(f"{name.replace('_', ' ')}: {load['cameras']} cameras", fontsize=9)
        axis.set_xlim(left=0)
        axis.set_xlabel("ms from picture to message")
        axis.legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("share of shows")


def _soak(axes: Any, found: Mapping[str, Any]) -> None:
    names = [name for name in found["per_min"] if name != "all"]
    minutes = [sample["at_s"] / 60 for sample in found["samples"]]
    for axis, what, label in zip(axes, ("rss_mb", "fds"), ("RSS, MB", "open files"), strict=True):
        for name in names:
            axis.plot(minutes, [sample.get(name, {}).get(what) for sample in found["samples"]], label=name, linewidth=1)
        axis.axvline(found["warm_up_s"] / 60, color="#999999", linestyle=":")
        axis.set_ylim(bottom=0)
        axis.set_xlabel("minutes")
        axis.set_ylabel(label)
    axes[1].legend(frameon=False, fontsize=6)


def _stack(axis: Any, places: list[str], parts: list[dict[str, float]], colours: Mapping[str, str]) -> None:
    """Bars of parts; those that are small everywhere are one."""
    whole = [sum(part.values()) or 1.0 for part in parts]
    names = sorted({name for part in parts for name in part})
    large = [
        n for n in names if any(part.get(n, 0) / all_ >= _LEAST_SHARE for part, all_ in zip(parts, whole, strict=True))
    ]
    below = [0.0] * len(places)
    for name in [*large, "others"]:
        heights = [
            sum(value for other, value in part.items() if other == name or (name == "others" and other not in large))
            for part in parts
        ]
        axis.bar(places, heights, bottom=below, label=name, color=colours.get(name, "#eeeeee"))
        below = [low + height for low, height in zip(below, heights, strict=True)]


_PLOTS: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "pipeline": _pipeline,
    "scale": _scale,
    "latency": _latency,
    "soak": _soak,
}
