from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.dashboard.inspections import stored_picture
from pipeline.dashboard.inspections.stored_picture import PictureRefused, boxes_on, size_of, thumbnail
from stages.results.models import InspectionMessage
from tests.unit.dashboard.inspections.parts import jpeg, message


def claiming(width: int, height: int) -> bytes:
    """A JPEG whose head claims that size: a few hundred bytes that would be gigabytes of pixels."""
    data = bytearray(jpeg(16, 16))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def red_at(data: bytes) -> np.ndarray:
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    return np.argwhere((image[..., 0] > 180) & (image[..., 1] < 130))


def test_a_small_picture_has_the_defects_box_where_the_part_is_in_it() -> None:
    """The part went on by 6 pixels since its cap was seen best: 36 18.5 96 60, at 27 14 72 45 in three quarters."""
    small = thumbnail(jpeg(640, 360), message())
    assert size_of(small) == (480, 270)
    top, left = red_at(small).min(0)
    bottom, right = red_at(small).max(0)
    assert (left, top, right, bottom) == pytest.approx((27, 14, 72, 45), abs=3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "no JPEG", id="nothing"),
        pytest.param(b"<svg onload=alert(1)>", "no JPEG", id="a page"),
        pytest.param(claiming(60_000, 60_000), "pixels", id="pixels without end"),
        pytest.param(claiming(8_000, 8_000), "pixels", id="more than is shown"),
        pytest.param(jpeg(64, 48)[:200], "broken|no JPEG", id="cut off"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(data: bytes, why: str) -> None:
    with pytest.raises(PictureRefused, match=why):
        thumbnail(data, message())


def test_a_file_too_long_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_picture, "MAX_BYTES", 100)
    with pytest.raises(PictureRefused, match="at most 100"):
        size_of(jpeg(64, 48))


def test_a_message_of_endless_defects_draws_a_bounded_number() -> None:
    found = message().defects[0]
    endless = message().model_copy(update={"defects": [found] * 10_000})
    assert len(boxes_on(endless, (640, 360))[1]) == stored_picture.MAX_BOXES


def older(**changed: Any) -> InspectionMessage:
    """As before 1.2."""
    found = message(**changed)
    assert found.snapshot is not None
    return found.model_copy(update={"snapshot": found.snapshot.model_copy(update={"part_box": None})})


def test_an_older_message_has_its_boxes_where_the_frame_had_them() -> None:
    part, [defect] = boxes_on(older(), (640, 360))
    assert part is not None
    assert defect is not None
    assert (defect.left * 640, defect.top * 360) == pytest.approx((30, 18.5))


def test_an_older_messages_boxes_are_not_drawn_on_another_picture() -> None:
    assert boxes_on(older(), (33, 999)) == (None, [None])
