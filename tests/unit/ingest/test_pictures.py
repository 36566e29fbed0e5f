"""Decoded frames as Pictures, from every family of pixel formats, and folders of them."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from pipeline.ingest.av_pictures import Pictures
from pipeline.ingest.av_source import _device_works, _hwaccel, _say_once
from pipeline.ingest.camera import CameraSettings, HwAccel, make_source
from pipeline.ingest.source import BadFrame, SourceFrame, SourceInvalid, made
from stages.values import Picture, PixelFormat, UInt8


def colourful(width: int = 64, height: int = 48) -> UInt8:
    """Four flat quarters: red, green, blue, light grey. (H, W, 3) RGB."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 30, 30)
    rgb[: height // 2, width // 2 :] = (30, 180, 40)
    rgb[height // 2 :, : width // 2] = (40, 50, 210)
    rgb[height // 2 :, width // 2 :] = (220, 220, 220)
    return rgb


def to_rgb(picture: Picture) -> UInt8:
    match picture.format:
        case PixelFormat.RGB24:
            return picture.data
        case PixelFormat.YUV420P:
            return np.asarray(cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_I420), np.uint8)
        case PixelFormat.NV12:
            return np.asarray(cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_NV12), np.uint8)
    return np.repeat(picture.data[:, :, None], 3, axis=2)


def quarters(rgb: UInt8) -> np.ndarray:
    """Colour at the middle of each quarter, (4, 3)."""
    h, w = rgb.shape[:2]
    return np.array([rgb[y, x] for y in (h // 4, h * 3 // 4) for x in (w // 4, w * 3 // 4)], int)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("yuv420p", PixelFormat.YUV420P),
        ("nv12", PixelFormat.NV12),
        ("yuvj420p", PixelFormat.YUV420P),
        ("yuvj422p", PixelFormat.YUV420P),
        ("yuv422p", PixelFormat.YUV420P),
        ("yuv444p", PixelFormat.YUV420P),
        ("yuyv422", PixelFormat.YUV420P),
        ("yuv420p10le", PixelFormat.YUV420P),
        ("rgb24", PixelFormat.RGB24),
        ("bgr24", PixelFormat.RGB24),
        ("rgba", PixelFormat.RGB24),
        ("gbrp", PixelFormat.RGB24),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (63, 47)], ids=["even", "odd"])
def test_colours_come_out_right_from_every_pixel_format(
    pixels: str, expected: PixelFormat, size: tuple[int, int]
) -> None:
    rgb = colourful(*size)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
    picture = made(Pictures().of(frame.reformat(format=pixels)))
    even = size[0] % 2 == 0
    assert picture.format is (expected if even or expected is not PixelFormat.NV12 else PixelFormat.YUV420P)
    cropped = size if expected is PixelFormat.RGB24 else (size[0] & ~1, size[1] & ~1)
    assert (picture.width, picture.height) == cropped
    assert np.abs(quarters(to_rgb(picture)) - quarters(rgb)).max() <= 6


def test_full_range_said_only_by_a_flag_is_seen() -> None:
    frame = av.VideoFrame.from_ndarray(colourful(), "rgb24")
    full = frame.reformat(format="yuv420p", dst_color_range=ColorRange.JPEG)
    full.color_range = ColorRange.JPEG
    assert np.abs(quarters(to_rgb(made(Pictures().of(full)))) - quarters(colourful())).max() <= 6


@pytest.mark.parametrize("pixels", ["gray", "gray10le"])
def test_grey_stays_grey(pixels: str) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((48, 64), 77, np.uint8), "gray").reformat(format=pixels)
    picture = made(Pictures().of(frame))
    assert picture.format is PixelFormat.GRAY8
    assert np.abs(picture.data.astype(int) - 77).max() <= 1


def settings(folder: Path, **others: object) -> CameraSettings:
    return CameraSettings.model_validate({"camera_id": "cam", "url": str(folder), **others})


def test_a_folder_is_read_in_the_order_a_person_would_number_it(tmp_path: Path) -> None:
    for n in (10, 9, 100, 1):
        cv2.imwrite(str(tmp_path / f"part{n}.png"), np.full((8, 8, 3), n, np.uint8))
    (tmp_path / "part50.jpg").write_text("no picture at all")
    with closing(make_source(settings(tmp_path, fps=2))) as source:
        source.open()
        items = list(source.frames())
    assert [made(i.image).data[0, 0, 0] if isinstance(i, SourceFrame) else i for i in items] == [
        1, 9, 10, BadFrame("decode_error"), 100,
    ]  # fmt: skip
    times = [i.captured_at for i in items if isinstance(i, SourceFrame)]
    assert [round(at - times[0], 3) for at in times] == [0.0, 0.5, 1.0, 2.0]


def test_a_folder_without_pictures_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match=tmp_path.name):
        make_source(settings(tmp_path)).open()


def test_hardware_that_is_not_there_is_said_once_and_software_decodes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av.codec.hwaccel, "hwdevices_available", list)
    _device_works.cache_clear()
    _say_once.cache_clear()
    with caplog.at_level(logging.INFO):
        found = [_hwaccel(HwAccel.VAAPI, "cam") for _ in range(3)]
    _device_works.cache_clear()
    assert found == [None, None, None]
    assert [record.getMessage() for record in caplog.records] == ["camera cam decodes in software: no vaapi here"]
