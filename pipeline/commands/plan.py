"""`rayline plan`: how many machines so many cameras need, and how sure that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.capacity.costs import Codec
from pipeline.commands.common import JsonOption, err, out, size

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.capacity.demand import Demand
    from pipeline.capacity.plan import Plan

_USUAL_FPS = 25.0  # what cameras send, unless somebody says


def plan(
    cameras: Annotated[int, typer.Option(help="How many cameras, all alike.")],
    fps: Annotated[float, typer.Option(help="Frames a second of each that are looked at.")] = 10.0,
    model: Annotated[str, typer.Option(help="A known model, such as yolo11s, or with --measure weights.")] = "yolo11n",
    camera_fps: Annotated[
        float | None, typer.Option(help="Frames a second each sends; all are decoded. Default: 25, or --fps if more.")
    ] = None,
    resolution: Annotated[str, typer.Option(metavar="WxH", help="Of the cameras' pictures.")] = "1920x1080",
    codec: Annotated[Codec, typer.Option(help="Of the cameras' streams.")] = Codec.H264,
    mbit: Annotated[float | None, typer.Option(help="Mbit/s each sends. Default: by resolution and codec.")] = None,
    objects: Annotated[float, typer.Option(help="Objects in a frame, on average.")] = 5.0,
    image_size: Annotated[str, typer.Option(metavar="WxH", help="What the model sees.")] = "640x384",
    runtime: Annotated[str, typer.Option(help="auto, openvino, onnx, torch or tensorrt.")] = "auto",
    gpu: Annotated[str | None, typer.Option(metavar="CARD", help="t4, a100; another one needs --gpu-ms.")] = None,
    gpu_ms: Annotated[float | None, typer.Option(help="Milliseconds of a GPU an image: your figure.")] = None,
    cpu_ms: Annotated[float | None, typer.Option(help="Milliseconds of one core an image: your figure.")] = None,
    cores_per_node: Annotated[int, typer.Option(help="Cores of a machine.")] = 16,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of a machine that has some.")] = 1,
    shard_size: Annotated[int, typer.Option(help="graph.shard_size: cameras a reader.")] = 8,
    frames_per_batch: Annotated[float | None, typer.Option(help="How full batches are. Default: as measured.")] = None,
    maxlen: Annotated[int, typer.Option(help="redis.maxlen_detections: entries kept a camera.")] = 10_000,
    headroom: Annotated[float, typer.Option(help="Share of every core and GPU to leave free.")] = 0.3,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time decoding and the model on this machine now (20 s or more).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Nodes, GPUs, bandwidth and Redis memory for so many cameras, from measured costs, and what was assumed."""
    from pipeline.capacity.demand import Cameras, Demand, Model, Site
    from pipeline.capacity.plan import plan as plan_of

    width, height = size(resolution, "--resolution")
    model_width, model_height = size(image_size, "--image-size")
    sends = max(_USUAL_FPS, fps) if camera_fps is None else camera_fps
    demand = Demand(
        Cameras(cameras, fps, sends, width, height, codec, mbit, objects),
        Model(model, (model_height, model_width), _runtime(runtime), cpu_ms, gpu_ms),
        Site(
            cores_per_node,
            None if gpu is None else gpu.lower(),
            gpus_per_node,
            shard_size,
            frames_per_batch=frames_per_batch,
            kept_entries=maxlen,
            headroom=headroom,
        ),
    )
    made = plan_of(demand, _measured(demand) if measure else None)
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(_plain(asdict(made), made), indent=2))
    else:
        _tell(made)


def _measured(demand: Demand) -> Any:
    from pipeline.capacity.measure import measure

    err.print("measuring decoding and the model on this machine ...", style="dim")
    return measure(demand)


def _runtime(text: str) -> Any:
    from pipeline.names import choices
    from stages.detect.settings import Runtime

    try:
        return Runtime(text.lower())
    except ValueError:
        raise typer.BadParameter(f"{text!r}: one of {choices(Runtime)}", param_hint="--runtime") from None


def _plain(told: dict[str, Any], made: Plan) -> dict[str, Any]:
    """The plan for programs: with what its properties say."""
    told["shares"] = [{**one, "cores": share.cores} for one, share in zip(told["shares"], made.shares, strict=True)]
    return told


def _tell(made: Plan) -> None:
    cameras, model = made.demand.cameras, made.demand.model
    out.print(
        f"[bold]{cameras.count} cameras[/], {cameras.width}x{cameras.height} {cameras.codec} at "
        f"{cameras.camera_fps:g} frames/s, {cameras.fps:g} of them looked at by {model.name} "
        f"({model.image_size[1]}x{model.image_size[0]}, {made.runtime})"
    )
    out.print(_work_table(made))
    out.print(_need_table(made))
    for warning in made.warnings:
        out.print("[yellow]mind[/]  ", end="")
        out.print(warning, markup=False, soft_wrap=True)
    out.print("assumed and measured:", style="dim")
    for assumption in made.assumptions:
        out.print(f"  - {assumption}", markup=False, soft_wrap=True, style="dim")


def _work_table(made: Plan) -> Table:
    from rich.table import Table

    table = Table("work", "a second", "CPU ms each", "cores", "known", box=None, pad_edge=False)
    for column in table.columns[1:4]:
        column.justify = "right"
    for share in made.shares:
        per_s = f"{share.per_s:,.0f} {share.unit}"
        table.add_row(share.name, per_s, f"{share.cost.value:.2f}", f"{share.cores:.1f}", share.cost.known.value)
    busy = sum(share.cores for share in made.shares)
    table.add_row("Ray's daemons, supervisor", "", "", f"{made.cores - busy:.1f}", "measured")
    table.add_row("all", "", "", f"{made.cores:.1f}", "", style="bold")
    return table


def _need_table(made: Plan) -> Table:
    from rich.table import Table

    table = Table("need", "", box=None, pad_edge=False, show_header=False)
    for name, text in _needs(made):
        table.add_row(name, text)
    return table


def _needs(made: Plan) -> list[tuple[str, str]]:
    site, graph, redis, network, memory = made.demand.site, made.graph, made.redis, made.network, made.memory
    lasts_s = site.kept_entries / made.demand.cameras.fps
    pictures = "no pictures, there is one"
    if made.nodes > 1:
        pictures = f"up to {network.pixels / 1e3:,.1f} Gbit/s of pictures, where no stage is near its reader"
    beside = ""
    if made.gpus:
        with_gpu = math.ceil(made.gpus / site.gpus_per_node)
        beside = f"; {with_gpu} of them with {site.gpus_per_node} GPU{'s' * (site.gpus_per_node > 1)}"
    settings = [
        f"topology: {graph.topology}",
        f"shard_size: {site.shard_size}",
        f"detect_replicas: {graph.detect_replicas}",
        *([f"preprocess_replicas: {graph.preprocess_replicas}"] if graph.topology == "split" else []),
        f"track_replicas: {graph.track_replicas}",
        *([f"detect_gpus: {graph.gpus_per_replica:g}"] if made.gpus else []),
    ]
    threads = f", models.NAME.threads: {graph.threads}" if graph.threads else ""
    cards = [("GPUs", f"{made.gpus} x {site.gpu or 'GPU'}")] if made.gpus else []
    return [
        ("cores", f"{made.cores / site.usable:,.1f}, {site.headroom:.0%} of them free"),
        *cards,
        ("nodes", f"{made.nodes} of {site.cores_per_node} cores{beside}"),
        ("memory", f"{memory.processes_gb:.1f} GB a node and {memory.object_store_gb:.2f} GB of shared memory"),
        ("network in", f"{network.cameras:,.0f} Mbit/s from cameras"),
        (
            "between nodes",
            f"{pictures}; {redis.mbit_per_s:,.1f} Mbit/s to Redis",
        ),
        (
            "Redis",
            f"{redis.memory_mb:,.0f} MB ({site.kept_entries:,} detections a camera, {lasts_s / 60:,.0f} min); "
            f"{redis.memory_behind_mb:,.0f} MB behind a relay that is away; {redis.entries_per_s:,.0f} entries/s, "
            f"{redis.cores:.2f} of its one core",
        ),
        ("processes", f"{graph.shards} readers, {graph.detect_replicas} detect, {graph.track_replicas} track"),
        ("graph:", f"{{{', '.join(settings)}}}{threads}"),
    ]
