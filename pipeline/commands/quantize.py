"""`rayline quantize`: a model in 8 bits for CPUs, made with your pictures, and what it costs in what is found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.common import JsonOption, err, out, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.quantizing.making import Made
    from stages.detect.settings import ModelSettings

_FEW_PICTURES = 100
_FOUND_WELL = 0.95
_GAIN = 1.25  # below it 8 bits are not worth what they cost


def quantize(
    weights: Annotated[str, typer.Argument(help="The model: a .pt, or an .onnx in 32 bit.")],
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURES...", help="Folders, videos or cameras: what it is to see.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="X.onnx", help="Where the 8-bit model goes.")],
    image_size: Annotated[str, typer.Option(metavar="WxH", help="What the model sees.")] = "640x384",
    most: Annotated[int, typer.Option("--pictures", min=1, max=2000, help="At most, spread over all there are.")] = 300,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long a live camera is watched.")] = 60,
    min_score: Annotated[float, typer.Option(min=0.001, max=1, help="Lowest score of a box that counts.")] = 0.25,
    sha256: Annotated[str | None, typer.Option(help="Digest the weights must have.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model 8 bit with pictures such as it will see; tell how much faster it is here and what it finds less."""
    if output.suffix.lower() != ".onnx" or not os.access(output.absolute().parent, os.W_OK):
        raise typer.BadParameter("an .onnx file in a folder that is there", param_hint="--output")
    settings = _settings(weights, image_size, min_score, sha256)
    if output.resolve() == Path(settings.weights).resolve():
        raise typer.BadParameter("that is the model itself: name another file", param_hint="--output")
    from pipeline.quantizing.making import Job, make

    err.print(
        "reading pictures, making it 8 bit, holding it against the other; a minute or more ...",
        style="dim",
        soft_wrap=True,
    )
    made = make(Job(settings, tuple(pictures), output, most, seconds))
    if as_json:
        out.print_json(data=_plain(made, output))
    else:
        _tell(made, settings, output)


def _settings(weights: str, image_size: str, min_score: float, sha256: str | None) -> ModelSettings:
    from pydantic import ValidationError

    from pipeline.config_paths import BUILTIN, builtin_weights
    from stages.detect.settings import ModelSettings, Runtime

    width, height = size(image_size, "--image-size")
    if weights.startswith(BUILTIN):
        weights = str(builtin_weights(weights.removeprefix(BUILTIN)))
    try:
        return ModelSettings(
            weights=weights,
            image_size=(height, width),
            min_score=min_score,
            sha256=sha256,
            runtime=Runtime.OPENVINO,
        )
    except ValidationError as exc:
        wrong = exc.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None


def _plain(made: Made, output: Path) -> dict[str, Any]:
    from dataclasses import asdict

    told = asdict(made)
    told["agreement"] |= {"found_share": made.agreement.found_share, "extra_share": made.agreement.extra_share}
    return {"file": str(output), **told}


def _tell(made: Made, settings: ModelSettings, output: Path) -> None:
    found = made.agreement
    height, width = settings.image_size
    out.print(f"{output}: {made.bytes / 1e6:.1f} MB, {made.runtime}", markup=False, soft_wrap=True)
    out.print(
        f"made with {made.calibrated} pictures, held against 32 bit on {found.pictures} others: "
        f"{found.found_share:.1%} of {found.boxes} boxes found, {found.extra_share:.1%} more that 32 bit has not; "
        f"overlap {found.iou:.3f}, scores {found.score_change:+.3f}",
        soft_wrap=True,
    )
    for count, times in made.ms.items():
        out.print(
            f"{count} at once: {times.before:.1f} ms an image in 32 bit, {times.after:.1f} in 8 "
            f"({times.before / times.after:.2f} times as fast)",
            soft_wrap=True,
        )
    out.print(
        f"models.NAME: {{weights: {output}, image_size: [{height}, {width}], sha256: {made.sha256}}}",
        markup=False,
        soft_wrap=True,
    )
    for warning in _warnings(made):
        err.print("[yellow]mind[/]  ", end="")
        err.print(warning, markup=False, soft_wrap=True)


def _warnings(made: Made) -> Iterator[str]:
    found = made.agreement
    if made.calibrated < _FEW_PICTURES:
        yield f"{made.calibrated} pictures are few: what they do not show may be found badly"
    if not found.boxes:
        yield "32 bit found nothing in the pictures that were held back: what 8 bits cost is not known"
    elif found.found_share < _FOUND_WELL:
        yield f"it finds {found.found_share:.1%} of what 32 bit does: hold it against your own truth before you use it"
    if all(times.before / times.after < _GAIN for times in made.ms.values()):
        yield "it is hardly faster here: 8 bits need VNNI or AMX, see `rayline doctor`"
