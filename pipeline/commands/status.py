"""`rayline status`: how every camera does, from Redis; no Ray connection needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.commands.common import JsonOption, RedisOption, complain, out, run, stores

if TYPE_CHECKING:
    from pipeline.orchestrate.desired import DesiredState
    from pipeline.orchestrate.line_count import LineCount
    from pipeline.orchestrate.state import CameraReport, RelayReport, SystemReport

REFRESH_S = 1.0

_COLOURS = {"running": "green", "paused": "cyan", "ended": "blue", "failed": "bold red", "removed": "dim"}
_UNDER_WAY = "yellow"  # the colour of every other state
_ROOMY = 140  # columns of a terminal from which on each camera has one row; in a narrower one, cells have lines


class Seen(NamedTuple):
    """What Redis holds: what is to run, what is reported, and what the lines with a part counter counted."""

    desired: DesiredState | None
    report: SystemReport | None
    counts: Sequence[LineCount] = ()


def status(
    once: Annotated[bool, typer.Option("--once", help="Show it once and leave; 1 if nothing runs.")] = False,
    as_json: JsonOption = False,
    redis: RedisOption = None,
) -> None:
    """Show every camera live: state, rates, drops by reason, latency, last error."""
    if as_json:
        run(_print_json(redis))
    elif once or not out.is_terminal:
        run(_print_once(redis))
    else:
        with suppress(KeyboardInterrupt):  # the way to leave it
            run(_follow(redis))


async def look(redis: str | None) -> Seen:
    """All there is to show; None where nobody said. Raises SinkUnavailable."""
    from pipeline.orchestrate.desired_store import NothingDesired

    async with stores(redis) as here:
        report = await here.state.read()
        try:
            desired = await here.desired.read()
        except NothingDesired:
            return Seen(None, report)
        counted = [line for line, settings in sorted(desired.config.lines.items()) if settings.part_counter is not None]
        return Seen(desired, report, await here.counts.read(counted))


async def _print_json(redis: str | None) -> None:
    seen = await look(redis)
    typer.echo(_as_json(seen))
    if seen.report is None:
        raise typer.Exit(1)


async def _print_once(redis: str | None) -> None:
    seen = await look(redis)
    if seen.report is None:
        complain(_nothing_runs(seen.desired))
        raise typer.Exit(1)
    out.print(shown(seen.desired, seen.report, time.time(), out.width, seen.counts))


async def _follow(redis: str | None) -> None:
    from pipeline.sinks.errors import SinkUnavailable

    seen = await look(redis)  # a wrong address is told at once, and ends it
    with Live(console=out, auto_refresh=False, transient=False) as live:
        while True:
            body: RenderableType = Text(_nothing_runs(seen.desired), _UNDER_WAY)
            if seen.report is not None:
                body = shown(seen.desired, seen.report, time.time(), out.width, seen.counts)
            live.update(body, refresh=True)
            await asyncio.sleep(REFRESH_S)
            try:
                seen = await look(redis)
            except SinkUnavailable as exc:
                live.update(Text(f"{exc}; trying again", "red"), refresh=True)
                seen = Seen(seen.desired, None)


def shown(
    desired: DesiredState | None, report: SystemReport, now: float, width: int, counts: Sequence[LineCount] = ()
) -> RenderableType:
    """The live table and, below it, what takes a sentence. At 80 columns only names may be broken."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("camera", "line / station"):
        table.add_column(name, overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("fps in/out", "ms p50/p95"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("parts", no_wrap=True)
    for camera in report.cameras:
        table.add_row(*_row(camera, now, is_roomy=width >= _ROOMY))
    for name, what in _unreported(desired, report).items():
        table.add_row(name, "", Text(what, _COLOURS.get(what, _UNDER_WAY)))
    return Group(table, *_below(desired, report, now), *_of_lines(counts, now))


def _row(camera: CameraReport, now: float, is_roomy: bool) -> tuple[str | Text, ...]:
    words = [Text(camera.state, _COLOURS.get(camera.state, _UNDER_WAY)), Text(_span(now - camera.since))]
    if camera.health != "ok":
        words.append(Text(camera.health, "bold magenta"))
    place = camera.line if camera.station in (camera.camera, camera.line) else f"{camera.line} / {camera.station}"
    name = Text(camera.camera)
    if camera.override:
        name.append(f" ({camera.override})", "dim")
    return (
        name,
        place,
        Text(" " if is_roomy else "\n").join(words),
        f"{camera.fps_in:.1f}/{camera.fps_out:.1f}",
        "-" if camera.latency_ms_p50 is None else f"{_ms(camera.latency_ms_p50)}/{_ms(camera.latency_ms_p95)}",
        (", " if is_roomy else "\n").join(_counts(camera.parts)) or "-",
    )


def _of_cameras(report: SystemReport, now: float) -> list[Text]:
    """A line for each camera's drops, one for what waits on disk, and one for its last error."""
    drops = {camera.camera: ", ".join(_counts(camera.dropped)) for camera in report.cameras}
    lines = [Text(f"{name} dropped: {counts}") for name, counts in drops.items() if counts]
    lines += [_recipe(c) for c in report.cameras if c.recipe_desired is not None]
    lines += [Text(f"{c.camera}: {c.waiting} frames wait on disk", _UNDER_WAY) for c in report.cameras if c.waiting]
    return lines + [Text(f"{c.camera}: {_error(c, now)}", "red") for c in report.cameras if c.last_error]


def _recipe(camera: CameraReport) -> Text:
    """What it works by while another recipe is desired."""
    if camera.recipe_refused is not None:
        return Text(f"{camera.camera}: stays with {camera.recipe}: {camera.recipe_refused}", "red")
    return Text(f"{camera.camera}: {camera.recipe} until a gap between parts, then {camera.recipe_desired}", _UNDER_WAY)


def _below(desired: DesiredState | None, report: SystemReport, now: float) -> list[Text]:
    ready = sum(shard.state == "running" for shard in report.shards)
    up = f"up {_span(now - report.started_at)}, {ready} of {len(report.shards)} shards running"
    lines = [Text(f"\n{up}", "dim"), *_of_cameras(report, now)]
    lines += [Text(f"shard {s.shard}: {s.last_error}", "red") for s in report.shards if s.last_error]
    lines += [_of_relay(relay, now) for relay in report.relays]
    if desired is not None and desired.version > report.desired_version:
        lines.append(Text("the last change is being put into force", _UNDER_WAY))
    lines += [Text(f"camera {name}: its change is not in force: {why}", "red") for name, why in report.problems.items()]
    lines += [Text(f"{name}: its change is not in force: {why}", "red") for name, why in report.base_problems.items()]
    return lines


def _of_relay(relay: RelayReport, now: float) -> Text:
    """What it has handed on, how far it is behind, and what is wrong with it."""
    counts = ", ".join(_counts(relay.relayed)) or "nothing yet"
    entries = "" if relay.behind is None else f"{relay.behind} messages, "
    told = f"relay {relay.relay} {relay.state}: {counts}; behind {entries}{_span(relay.behind_s)}"
    for number, what in ((relay.refused, "set aside"), (relay.gaps, "gaps")):
        told += f", {number} {what}" if number else ""
    if relay.last_error is None:
        return Text(told)
    ago = f" ({_span(now - relay.last_error_at)} ago)" if relay.last_error_at else ""
    return Text(f"{told}; {relay.last_error}{ago}", "" if relay.state == "running" else "red")


def _of_lines(counts: Sequence[LineCount], now: float) -> list[Text]:
    """A line for what each part counter says, and one for what is wrong with it."""
    lines = []
    for count in counts:
        told = f"counted {count.counted}, inspected {count.inspected}, difference {count.difference}"
        often = "once" if count.uninspected == 1 else f"{count.uninspected} times"
        blind = f"; camera blind {often}" if count.uninspected else ""
        lasting = f", now for {_span(now - count.blind_since)}" if count.blind_since is not None else ""
        lines.append(Text(f"line {count.line}: {told} in {_span(now - count.since)}{blind}{lasting}"))
        if count.error is not None:
            lines.append(Text(f"line {count.line}: its part counter cannot be read: {count.error}", "red"))
    return lines


def _unreported(desired: DesiredState | None, report: SystemReport) -> dict[str, str]:
    """Cameras that are to run, or were taken away, and that no report is about."""
    if desired is None:
        return {}
    known = {camera.camera for camera in report.cameras}
    starting: dict[str, str] = {name: "starting" for name in desired.config.camera_ids() if name not in known}
    starting.update({name: "removed" for name in desired.removed() if name not in known})
    return starting


def _nothing_runs(desired: DesiredState | None) -> str:
    if desired is None:
        return "nothing runs here: start one with `rayline up`, or name its Redis (--redis)"
    return f"{len(desired.config.cameras)} cameras are to run, and nothing reports: has `rayline up` ended?"


def _as_json(seen: Seen) -> str:
    import json

    desired, report = seen.desired, seen.report
    data: dict[str, Any] = {
        "running": report is not None,
        "desired_version": desired.version if desired else None,
        "removed": list(desired.removed()) if desired else [],
        "report": report.model_dump(mode="json") if report else None,
        "counts": [count.model_dump(mode="json", exclude={"recent"}) for count in seen.counts],
    }
    return json.dumps(data, indent=2)


def _counts(counts: Mapping[str, int]) -> list[str]:
    return [f"{reason} {number}" for reason, number in sorted(counts.items()) if number]


def _error(camera: CameraReport, now: float) -> str:
    ago = f" ({_span(now - camera.last_error_at)} ago)" if camera.last_error_at else ""
    return f"{camera.last_error}{ago}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
