"""`rayline profile`: where the time of a frame goes, from traces in Redis; no Ray connection needed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.commands.common import JsonOption, RedisOption, complain, out, redis_settings, run
from pipeline.sinks.errors import SinkUnavailable

if TYPE_CHECKING:
    from pipeline.observe.profile import Profile, StageFigures
    from pipeline.observe.traces import FrameTrace
    from pipeline.sinks.reader import Entry

MOST_FRAMES = 100_000  # kept, the newest
ASK_EVERY_S = 2.0
_WHAT = {  # and what it means where most of the time goes there
    "capture": ("camera and network", "camera, network, and where FFmpeg reads it a picture's interval"),
    "decode": ("packet to picture", "a smaller stream of the camera, `hwaccel` or `threads`"),
    "queue": ("until its batch went", "frames wait for batches before them: the stages behind are full"),
    "send": ("way to preprocess", "transport, or a replica that is busy with batches before it"),
    "preprocess": ("letterbox, statistics", "a smaller stream of the camera, or `preprocess_replicas`"),
    "batch_wait": ("waits for the model", "the model has batches before it: it is full"),
    "infer": ("the model", "a smaller model, a faster runtime, or more of the machine for it"),
    "boxes": ("raw answer to boxes", "a higher `min_score`, fewer `classes`"),
    "return": ("way back to the reader", "transport, or a reader that is busy decoding: a smaller `shard_size`"),
    "turn": ("for the batch before", "track is behind, or a slow detect replica holds the others up"),
    "to_track": ("way to track", "transport, or a track replica that is busy: `track_replicas`"),
    "track": ("tracker and verdicts", "a simpler tracker, or `track_replicas`"),
    "publish": ("the write to Redis", "Redis is far away, or busy"),
}


def profile(
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to look.")] = 10.0,
    camera: Annotated[str, typer.Option(help="Only this camera.")] = "*",
    sample: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of batches to have traced meanwhile; 0: as the configuration says."),
    ] = 0.25,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Write the frames' time line for ui.perfetto.dev or chrome://tracing."),
    ] = None,
    as_json: JsonOption = False,
    redis: RedisOption = None,
) -> None:
    """Show where the time of frames goes, stage by stage; 1 if no frame came."""
    from pipeline.observe.profile import profile_of

    if trace is not None and not trace.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {trace.parent}", param_hint="--trace")
    waiting: AbstractContextManager[object] = (
        out.status(f"looking for {seconds:g} s") if out.is_terminal and not as_json else nullcontext()
    )
    with waiting, suppress(KeyboardInterrupt):  # who has seen enough gets what came until then
        traces: deque[FrameTrace] = deque(maxlen=MOST_FRAMES)
        run(_collect(traces, seconds, camera, sample, redis))
    found = profile_of(traces)
    if found is None:
        complain(_nothing_came(seconds, camera, sample))
        raise typer.Exit(1)
    if trace is not None:
        _write(trace, list(traces))
    if as_json:
        _print_json(found)
    else:
        out.print(shown(found, trace))


async def _collect(traces: deque[FrameTrace], seconds: float, camera: str, sample: float, redis: str | None) -> None:
    from pipeline.observe.traces import decoded
    from pipeline.sinks.keys import TRACES
    from pipeline.sinks.reader import StreamReader

    async with StreamReader(redis_settings(redis)) as reader, _asking(sample, redis):
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async with aclosing(cast("AsyncGenerator[Entry, None]", reader.follow(TRACES))) as entries:
                    async for entry in entries:
                        with suppress(ValueError):  # of another version: the others tell their part
                            traces.extend(one for one in decoded(entry.data) if camera in ("*", one.camera))


@asynccontextmanager
async def _asking(sample: float, redis: str | None) -> AsyncIterator[None]:
    """Inside the readers are asked for a larger share; where that is refused it is told, and theirs comes."""
    asking = asyncio.create_task(_ask(sample, redis)) if sample else None
    try:
        yield
    finally:
        if asking is not None:
            asking.cancel()
            (ended,) = await asyncio.gather(asking, return_exceptions=True)
            if isinstance(ended, SinkUnavailable):
                complain(f"no more than `observe.trace_sample` was traced: {ended}")


async def _ask(sample: float, redis: str | None) -> None:
    """For ever: tell the readers what share to trace. The word lapses soon after the last time."""
    from pipeline.sinks.keys import TRACE_SAMPLE
    from pipeline.sinks.redis_client import RedisLink

    link = RedisLink(redis_settings(redis))
    try:
        while True:
            async with link.use() as client:
                await client.set(TRACE_SAMPLE, sample, ex=int(3 * ASK_EVERY_S))
            await asyncio.sleep(ASK_EVERY_S)
    finally:
        await link.close()


def shown(found: Profile, trace: Path | None = None) -> RenderableType:
    """The table, the two stages most of the time goes to, and where the time line is."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("stage", no_wrap=True)
    for name in ("frames", "p50 ms", "p95 ms", "p99 ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it is", style="dim")
    for figures in found.stages:
        table.add_row(*_row(figures), _WHAT.get(figures.stage, ("", ""))[0], style=_style(figures, found))
    table.add_row(*_row(found.total), "capture to publish", style="bold")
    lines = [Text(""), *(Text(_advice(figures)) for figures in found.longest[:2])]
    if trace is not None:
        lines.append(Text(f"The time line is in {trace}: open it at https://ui.perfetto.dev"))
    return Group(table, *lines)


def _advice(figures: StageFigures) -> str:
    what = _WHAT.get(figures.stage, ("", ""))[1]
    return f"{figures.share:.0%} is {figures.stage}" + (f": {what}" if what else "")


def _row(figures: StageFigures) -> tuple[str, ...]:
    times = (f"{ms:.1f}" for ms in (figures.p50_ms, figures.p95_ms, figures.p99_ms))
    return (figures.stage, str(figures.count), *times, f"{figures.share:.1%}")


def _style(figures: StageFigures, found: Profile) -> str:
    return "yellow" if figures is found.longest[0] else ""


def _write(path: Path, traces: Sequence[FrameTrace]) -> None:
    import json

    from pipeline.observe.profile import chrome_trace
    from stages.errors import RaylineError

    try:
        path.write_text(json.dumps(chrome_trace(traces)))
    except OSError as exc:
        raise RaylineError(f"{path} cannot be written: {exc.strerror}") from exc


def _print_json(found: Profile) -> None:
    import json
    from dataclasses import asdict

    typer.echo(json.dumps({**asdict(found), "longest": found.longest[0].stage}, indent=2))


def _nothing_came(seconds: float, camera: str, sample: float) -> str:
    of_whom = "" if camera == "*" else f" of camera {camera}"
    more = "" if sample else ", or look for longer: --sample 0 asks for no more than `observe.trace_sample`"
    return f"no frame{of_whom} came by in {seconds:g} s: see `rayline status`{more}"
