"""`rayline snapshot`: one picture of a camera with all that is set for it drawn in."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.common import RedisOption, err, redis_settings, run, stores

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig, ResolvedCamera
    from pipeline.ingest.source import SourceFrame
    from stages.results.models import DetectionMessage

LOOK_BACK_S = 10.0
BOXES_WITHIN_S = 1.0  # a message further from the picture than this tells of another one


def snapshot(
    camera: Annotated[str, typer.Argument(metavar="CAMERA", help="The camera's name.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="X.jpg", help="Where the picture goes.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="Take the camera from this file; nothing needs to run.")
    ] = None,
    grid: Annotated[bool, typer.Option(help="Draw a grid of tenths, to read coordinates from.")] = True,
    boxes: Annotated[bool, typer.Option(help="Draw what the running Rayline sees there now.")] = True,
    timeout: Annotated[float, typer.Option(min=1, max=120, metavar="SECONDS", help="Longest wait for a picture.")] = 15,
    redis: RedisOption = None,
) -> None:
    """Take a picture with grid, region, zones, trigger and current boxes: what to set a station up by."""
    from pipeline.commands.drawing import draw_boxes, draw_grid, draw_recipe, write_picture
    from pipeline.ingest.look import take_pictures
    from pipeline.ingest.source import made
    from pipeline.sinks.snapshots import to_bgr

    resolved = _camera(camera, config, redis)
    pictures = take_pictures(resolved.settings, timeout)
    frame, message = pictures[-1], None
    if boxes and config is None:
        frame, message = nearest(pictures, run(_messages(resolved, redis)))
    image = to_bgr(made(frame.image))
    if grid:
        image = draw_grid(image)
    image = draw_recipe(image, resolved.recipe)
    if message is not None:
        image = draw_boxes(image, message)
    elif boxes and config is None:
        err.print("no boxes: Rayline published nothing of this camera at that time")
    write_picture(output, image)
    typer.echo(f"{output}: {frame.image.width}x{frame.image.height}, {len(message.objects) if message else 0} objects")


def nearest(
    pictures: list[SourceFrame], messages: list[DetectionMessage]
) -> tuple[SourceFrame, DetectionMessage | None]:
    """The picture and message that are closest in time; the last picture alone where none are close."""
    pairs = [(abs(p.captured_at - m.captured_at.timestamp()), p, m) for p in pictures for m in messages]
    if not pairs:
        return pictures[-1], None
    apart_s, picture, message = min(pairs, key=lambda pair: pair[0])
    return (picture, message) if apart_s <= BOXES_WITHIN_S else (pictures[-1], None)


def _camera(camera: str, config: Path | None, redis: str | None) -> ResolvedCamera:
    from pipeline.config import load_config
    from pipeline.names import choices, did_you_mean

    loaded = load_config(config) if config is not None else run(_desired(redis))
    if camera in loaded.cameras:
        return loaded.camera(camera)
    near = did_you_mean(camera, loaded.cameras)
    hint = f"did you mean {near!r}?" if near else f"there are: {choices(loaded.cameras)}"
    raise typer.BadParameter(f"there is no camera {camera!r}; {hint}", param_hint="CAMERA")


async def _desired(redis: str | None) -> RaylineConfig:
    async with stores(redis) as here:
        return (await here.desired.read()).config


async def _messages(camera: ResolvedCamera, redis: str | None) -> list[DetectionMessage]:
    """The newest detections of the camera, once those of pictures just taken have had the time to come."""
    import asyncio
    import time

    from pipeline.sinks.keys import camera_keys
    from pipeline.sinks.reader import StreamReader
    from stages.results.models import DetectionMessage, MessageError, parse_message

    await asyncio.sleep(0.5)
    since = f"{int((time.time() - LOOK_BACK_S) * 1000)}-0"
    async with StreamReader(redis_settings(redis)) as reader:
        entries = await reader.read(camera_keys(camera.line, camera.camera_id).detections, since)
    messages = []
    for entry in entries:
        with suppress(MessageError):
            message = parse_message(entry.data)
            if isinstance(message, DetectionMessage):
                messages.append(message)
    return messages
