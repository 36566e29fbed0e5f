"""A part's stored picture as it is shown: looked at before anybody decodes it, and made small with its boxes drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from pipeline.dashboard.inspections.geometry import Placed, SizeWh, Window, window_of
from pipeline.history.picture_boxes import defects_in_picture, part_in_picture
from stages.errors import RaylineError

if TYPE_CHECKING:
    from stages.results.models import InspectionMessage

MAX_BYTES = 32_000_000
MAX_PIXELS = 50_000_000  # of a picture that is handed on: beyond the largest area cameras
MAX_BOXES = 50  # more hide the picture
THUMB_PX = 480  # the longer side of a small one

_QUALITY = 80
_DARK, _PART, _DEFECT = (0, 0, 0), (235, 235, 235), (255, 70, 70)
_FAILS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class PictureRefused(RaylineError):
    """It is no JPEG, broken, or larger than what is shown; says which."""


def size_of(data: bytes) -> SizeWh:
    """Width and height of a JPEG that may be shown; only its head is read. Raises PictureRefused."""
    with _opened(data) as image:
        return image.size


def thumbnail(data: bytes, message: InspectionMessage) -> bytes:
    """A small JPEG of it, the part's and its defects' boxes drawn in. Raises PictureRefused."""
    with _opened(data) as image:
        picture = image.size
        image.draft("RGB", (THUMB_PX, THUMB_PX))  # the decoder itself leaves most pixels out
        try:
            small = image.convert("RGB")
            small.thumbnail((THUMB_PX, THUMB_PX))
            _draw(small, *boxes_on(message, picture))
            out = io.BytesIO()
            small.save(out, "JPEG", quality=_QUALITY)
        except _FAILS as exc:
            raise PictureRefused(f"the picture is broken: {exc}") from None
    return out.getvalue()


def boxes_on(message: InspectionMessage, picture: SizeWh) -> tuple[Placed | None, list[Placed | None]]:
    """The part's box and each defect's on a picture of this size; none where nobody knows where they are on it."""
    part, defects = part_in_picture(message), defects_in_picture(message)[:MAX_BOXES]
    if part is not None:
        whole = Window(0.0, 0.0, *picture)
        return whole.place(part), [one.box and whole.place(one.box) for one in defects]
    # Messages before 1.2 say where things were in frames, not where they are in the picture: the belt moved between.
    window = window_of((message.size.width, message.size.height), message.box, picture)
    if window is None:
        return None, [None] * len(defects)
    return window.place(message.box), [window.place(defect.box) for defect in message.defects[:MAX_BOXES]]


def _opened(data: bytes) -> Image.Image:
    if len(data) > MAX_BYTES:
        raise PictureRefused(f"{len(data)} bytes; at most {MAX_BYTES} are shown")
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureRefused(f"more than {MAX_PIXELS} pixels") from None
    except (*_FAILS, ImportError):  # where ultralytics is loaded, it has Pillow look for a package of another format
        raise PictureRefused("the file is no JPEG") from None
    if image.width * image.height > MAX_PIXELS:
        raise PictureRefused(f"{image.width} x {image.height} pixels; at most {MAX_PIXELS} are shown")
    return image


def _draw(image: Image.Image, part: Placed | None, defects: Sequence[Placed | None]) -> None:
    pen = ImageDraw.Draw(image)
    if part is not None:
        _box(pen, image.size, part, _PART, 1)
    for number, defect in enumerate(defects, 1):
        if defect is not None:
            left, top = _box(pen, image.size, defect, _DEFECT, 3)
            if len(defects) > 1:
                _number(pen, (left, top), number)


def _box(
    pen: ImageDraw.ImageDraw, size: SizeWh, box: Placed, colour: tuple[int, int, int], width: int
) -> tuple[float, float]:
    left, top = box.left * size[0], box.top * size[1]
    right, bottom = left + box.width * size[0], top + box.height * size[1]
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_DARK, width=width + 2)  # seen on any ground
    pen.rectangle((left, top, right, bottom), outline=colour, width=width)
    return left, top


def _number(pen: ImageDraw.ImageDraw, at: tuple[float, float], number: int) -> None:
    font = ImageFont.load_default(size=16)
    text, corner = str(number), (at[0] + 4, max(0.0, at[1] + 2))
    pen.rectangle(pen.textbbox(corner, text, font=font), fill=_DARK)
    pen.text(corner, text, fill=(255, 255, 255), font=font)
