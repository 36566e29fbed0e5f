"""The rows of the page's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import PurePosixPath

from pipeline.control.access.roles import Principal
from pipeline.dashboard.durations import lasted
from pipeline.dashboard.system.reading import Seen
from pipeline.dashboard.tables import Cell, Signed
from pipeline.dashboard.texts import TEXTS, t
from pipeline.masking import mask
from pipeline.orchestrate.state import ShardReport, StageReport

Rows = dict[str, Sequence[Cell]]

STAGES = ("stage", "state", "replicas", "queue", "fill", "p50", "p95", "message")
ROAD = ("stage", "what", "p50", "p95", "share")
READERS = ("name", "state", "cameras", "queue", "fill", "rate", "restarts", "error")
RELAYS = ("name", "state", "kind", "address", "behind", "refused", "gaps", "restarts", "error")
VERSIONS = ("name", "version")
MODELS = ("name", "version", "weights", "runtime")
NUMBERS = ("replicas", "queue", "fill", "rate", "p50", "p95", "share", "restarts", "refused", "gaps")

_DETECT = "detect-"
_WAY = ("preprocess", _DETECT, "track")
_TRACED = {"preprocess": "preprocess", "track": "track"}
_STATES = {"healthy": "ok", "updating": "starting", "upscaling": "starting", "downscaling": "starting"}
_READER_STATES = {"resting": "failed", "moving": "waiting"}


def columns(names: Iterable[str]) -> tuple[str, ...]:
    """The keys of their headings."""
    return tuple(f"system.column.{name}" for name in names)


def stages(seen: Seen) -> Rows:
    """In the order of a frame's way: replicas, and of a model how full its batches are and how many are under way."""
    if seen.report is None:
        return {}
    return {one.stage: _stage(one, seen) for one in sorted(seen.report.stages, key=_place)}


def road(seen: Seen) -> Rows:
    """Stage by stage, in the order of a frame's way."""
    profile = seen.road
    if profile is None:
        return {}
    return {
        one.stage: (
            one.stage,
            TEXTS.get(f"system.road.{one.stage}", ""),
            f"{one.p50_ms:.1f}",
            f"{one.p95_ms:.1f}",
            f"{one.share:.0%}",
        )
        for one in profile.stages
    }


def readers(seen: Seen, who: Principal) -> Rows:
    """Those of which they may see a camera, with those cameras."""
    report, desired = seen.report, seen.desired
    if report is None or desired is None:
        return {}
    found: Rows = {}
    for shard in report.shards:
        theirs = [c for c in shard.cameras if (line := desired.line_of(c)) is not None and who.may_see(line)]
        if theirs or not shard.cameras:
            found[shard.shard] = (
                shard.shard,
                Signed(_READER_STATES.get(shard.state, shard.state)),
                ", ".join(theirs),
                _of(shard.in_flight, shard.in_flight_most),
                _fill([shard]),
                f"{shard.batches_per_s:.1f}",
                str(shard.restarts),
                mask(shard.last_error or ""),
            )
    return found


def relays(seen: Seen) -> Rows:
    """Each with how far it is behind."""
    if seen.report is None:
        return {}
    return {
        one.relay: (
            one.relay,
            Signed(one.state),
            one.kind,
            mask(one.address),
            lasted(one.behind_s) if one.behind is None else f"{one.behind} ({lasted(one.behind_s)})",
            str(one.refused),
            str(one.gaps),
            str(one.restarts),
            mask(one.last_error or ""),
        )
        for one in seen.report.relays
    }


def versions(seen: Seen) -> Rows:
    """Of Rayline, and of what is desired."""
    found: Rows = {"rayline": (t("system.rayline"), version("rayline"))}
    if seen.desired is not None:
        in_force = "?" if seen.report is None else str(seen.report.desired_version)
        run = t("system.desired", run=seen.desired.run_id[:8])
        found["config"] = (run, t("system.in_force", some=in_force, most=seen.desired.version))
    return found


def models(seen: Seen) -> Rows:
    """As they are configured."""
    if seen.desired is None:
        return {}
    return {
        name: (name, model.version, _weights(model.weights, model.sha256), str(model.runtime.value))
        for name, model in sorted(seen.desired.config.models.items())
    }


def problems(seen: Seen, who: Principal) -> Rows:
    """What people asked for and is not in force, with why."""
    if seen.desired is None:
        return {}
    desired = seen.desired
    found: dict[str, str] = {c: why for c, why in desired.problems.items() if who.may_see(desired.line_of(c) or "")}
    for name, why in desired.base_problems.items():
        kind, _, line = name.partition(" ")
        if kind != "line" or who.may_see(line):
            found[name] = why
    return {name: (name, mask(why)) for name, why in sorted(found.items())}


def _place(one: StageReport) -> tuple[int, str]:
    name = _DETECT if one.stage.startswith(_DETECT) else one.stage
    return _WAY.index(name) if name in _WAY else len(_WAY), one.stage


def _stage(one: StageReport, seen: Seen) -> tuple[Cell, ...]:
    shards = () if seen.report is None else seen.report.shards
    sign = _STATES.get(one.state, "starting" if one.state.startswith("deploy") else "failed")
    word = TEXTS.get(f"system.state.{one.state}", one.state.replace("_", " "))
    its = [shard for shard in shards if one.stage == f"{_DETECT}{shard.model}"]
    queue = _of(sum(s.in_flight for s in its), sum(s.in_flight_most for s in its)) if its else ""
    message = mask(one.message.splitlines()[-1] if one.message else "")
    p50, p95 = _took(one.stage, seen)
    return one.stage, Signed(sign, word), _of(one.running, one.wanted), queue, _fill(its), p50, p95, message


def _took(stage: str, seen: Seen) -> tuple[str, str]:
    """What traces say of it. They tell no model from another: where there are several, the sum is nobody's."""
    models = {one.stage for one in seen.report.stages if one.stage.startswith(_DETECT)} if seen.report else set()
    name = _TRACED.get(stage) if stage not in models else "infer" if len(models) == 1 else None
    its = next((one for one in seen.road.stages if one.stage == name), None) if seen.road is not None else None
    return ("", "") if its is None else (f"{its.p50_ms:.1f}", f"{its.p95_ms:.1f}")


def _of(some: int, most: int) -> str:
    return t("system.of", some=some, most=most)


def _fill(shards: Sequence[ShardReport]) -> str:
    """Frames of a batch on the average, and how many it may have."""
    told = [(shard.batches_per_s, shard.batch_frames) for shard in shards if shard.batch_frames is not None]
    batches = sum(rate for rate, _ in told)
    if not batches:
        return ""
    mean = sum(rate * frames for rate, frames in told) / batches
    return t("system.frames", count=f"{mean:.1f}", most=max(shard.batch_most for shard in shards))


def _weights(weights: str, sha256: str | None) -> str:
    name = PurePosixPath(mask(weights)).name
    return f"{name} ({sha256[:12]})" if sha256 else name
