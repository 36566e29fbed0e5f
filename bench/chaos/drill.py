"""A drill: parts of a running Rayline die at random, and at the end it is counted what that cost.

`python -m bench.chaos --minutes 10 --json FILE`. A film of numbers, a film of the demo's bottle line, a topic of
a Kafka broker and a live RTSP camera run through one Rayline on two Ray nodes of this machine. It ends with 0 only
where nothing of films and topic was lost, published twice or out of order, each part was judged once, every camera came
back within its bound after each death, and the live camera lost nothing that was not told.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.chaos.count import count_live, count_parts, count_replayable, detections, figures, inspections
from bench.chaos.flow import STEADY_S, Flow
from bench.chaos.kills import KINDS
from bench.chaos.line import FPS, REPLAYABLE, SOURCES, Drilled, running_drill
from bench.chaos.memory import Memory

START_S = 60.0
WARM_UP_S = 60.0
LIVE_TAIL_S = 2.0
GAVE_UP_S = 30.0  # beyond the bound: then the drill goes on without that camera's return

DEFAULT_KINDS = (
    *("ingest", "detect", "track", "asleep-detect", "controller", "supervisor"),
    *("redis", "redis-tail", "broker", "rtsp", "node"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill, tell, and say whether it was passed."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="rayline-drill-") as folder:
        report = drill(options, Path(folder))
    text = json.dumps(report, indent=2)
    _say(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 0 if passed(report) else 1


def drill(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The whole drill; its figures."""
    dice = random.Random(options.seed)
    with running_drill(folder, options.minutes * 60, options.logs) as drilled:
        flow, memory = Flow(drilled.rayline.redis_url, SOURCES), Memory()
        flow.start()
        memory.start()
        try:
            if not _until_steady(flow, START_S):
                raise TimeoutError(f"not every camera's results came within {START_S:.0f} s of the start")
            kills = [*_kills(drilled, flow, options, dice)]
        finally:
            flow.stop()
            memory.stop()
        return _report(drilled.rayline.redis_url, kills, memory.slopes_mb_per_min(WARM_UP_S))


def passed(report: Mapping[str, Any]) -> bool:
    """True where nothing was lost that may not be, nothing came twice, and all came back in time."""
    return bool(
        report["kills"]
        and report["lost"] == report["duplicated"] == report["out_of_order"] == report["late"] == 0
        and report["parts_inspected"] == report["parts_truth"] > 0
        and report["parts_twice"] == report["false_pass"] == 0
        and report["live"]["failed"] == 0
        and report["live"]["untold"] <= report["live"]["untold_allowed"]
    )


def _kills(drilled: Drilled, flow: Flow, options: argparse.Namespace, dice: random.Random) -> Iterator[dict[str, Any]]:
    """One death after another, each when all flows again, until the time is over."""
    until = time.monotonic() + options.minutes * 60
    for kind in itertools.islice(_order(options.kinds, dice), options.kills):
        if time.monotonic() >= until:
            return
        kill = _kill(drilled, flow, kind, dice, options.seconds_between * dice.uniform(0.5, 1.5))
        _say(_line_of(kill))
        yield kill


def _order(kinds: Sequence[str], dice: random.Random) -> Iterator[str]:
    """For ever: all kinds in a new order each time."""
    while True:
        yield from dice.sample(kinds, len(kinds))


def _kill(drilled: Drilled, flow: Flow, name: str, dice: random.Random, quiet_s: float) -> dict[str, Any]:
    """A death, its recovery, and the quiet behind it, in which nothing may stop again."""
    kind = KINDS[name]
    since = time.monotonic()
    hit = kind.strike(drilled, dice)
    time.sleep(max(0.0, since + STEADY_S - time.monotonic()))
    _until_steady(flow, kind.bound_s + GAVE_UP_S)
    recovered, quiet = flow.recovered(since), time.monotonic()
    time.sleep(quiet_s)
    _until_steady(flow, kind.bound_s + GAVE_UP_S)
    return {
        "kind": name,
        "hit": hit,
        "bound_s": kind.bound_s,
        "recovery_s": _rounded(recovered),
        "again_s": _rounded(flow.recovered(quiet)),  # a gap that came only when all had flowed again
    }


def _rounded(recovered: Mapping[str, float | None]) -> dict[str, float | None]:
    return {camera: None if seconds is None else round(seconds, 1) for camera, seconds in recovered.items()}


def _until_steady(flow: Flow, timeout_s: float) -> bool:
    """True once all flows, False where it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not (is_steady := flow.is_steady(time.monotonic())) and time.monotonic() < deadline:
        time.sleep(0.2)
    return is_steady


def _report(redis_url: str, kills: Sequence[Mapping[str, Any]], slopes: Mapping[str, float | None]) -> dict[str, Any]:
    messages = {camera: detections(redis_url, camera) for camera in SOURCES}
    again = {camera: count_replayable(messages[camera]) for camera in REPLAYABLE}
    live = count_live(messages["live"])
    every = [*again.values(), live]
    recoveries = [_slowest(kill) for kill in kills]
    back = [seconds for seconds in recoveries if seconds is not None]
    return {
        "lost": sum(counted.lost + counted.failed for counted in again.values()),
        "duplicated": sum(counted.duplicated for counted in every),
        "out_of_order": sum(counted.out_of_order for counted in every),
        "kills": len(kills),
        "kinds": _by_kind(kills),
        "recovery_s": {"median": round(median(back), 1) if back else None, "max": max(back, default=None)},
        "late": sum(_is_late(kill) for kill in kills),
        **count_parts(messages["parts"], inspections(redis_url, "parts"), FPS),
        "rss_slope_mb_per_min": slopes["all"],
        "rss_slope_by_name": dict(slopes),
        "live": {**figures(live), "untold_allowed": _untold_allowed(kills)},
        "replayable": {camera: figures(counted) for camera, counted in again.items()},
        "log": list(kills),
    }


def _untold_allowed(kills: Sequence[Mapping[str, Any]]) -> int:
    """Live frames that were published to a Redis that lost its tail: two seconds' each time, seen as a gap in `seq`."""
    return sum(kill["kind"] == "redis-tail" for kill in kills) * int(LIVE_TAIL_S * FPS)


def _by_kind(kills: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = sorted({kill["kind"] for kill in kills})
    return {name: [_slowest(kill) for kill in kills if kill["kind"] == name] for name in names}


def _slowest(kill: Mapping[str, Any]) -> float | None:
    """Seconds until the last camera flowed again; None where one did not."""
    seconds = kill["recovery_s"].values()
    return None if None in seconds else max(seconds)


def _is_late(kill: Mapping[str, Any]) -> bool:
    seconds = [*kill["recovery_s"].values(), *kill["again_s"].values()]
    return None in seconds or max(seconds) > kill["bound_s"]


def _line_of(kill: Mapping[str, Any]) -> str:
    back = ", ".join(f"{camera} {'never' if s is None else f'{s:.1f} s'}" for camera, s in kill["recovery_s"].items())
    again = max(seconds or 0.0 for seconds in kill["again_s"].values())
    later = f"; again {again:.1f} s later" if again else ""
    return f"{kill['kind']:<12} {back}{later}{'  LATE' if _is_late(kill) else ''}  ({kill['hit']})"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="where the figures go too")
    parser.add_argument("--seed", type=int, default=1, help="of the order of deaths and of what they hit")
    parser.add_argument("--kills", type=int, help="so many and no more (default: as many as the time allows)")
    parser.add_argument("--seconds-between", type=float, default=6.0, help="of quiet between two, on average")
    parser.add_argument(
        "--kinds",
        type=_kinds,
        default=DEFAULT_KINDS,
        help=f"of: {', '.join(KINDS)} (default: {','.join(DEFAULT_KINDS)})",
    )
    parser.add_argument("--logs", action="store_true", help="show what Rayline and Ray log meanwhile")
    return parser.parse_args(arguments)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"no kind {', '.join(unknown)}; there are {', '.join(KINDS)}")
    return kinds
