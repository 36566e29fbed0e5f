"""Numbers of pictures a camera should be trusted by, or not."""

import cv2
import numpy as np
import pytest

from stages.preprocess.statistics import measure
from stages.values import Picture, PixelFormat, UInt8
from tests.unit.stages.preprocess.pictures import picture, scene


def detailed(width: int = 640, height: int = 360) -> UInt8:
    rgb = scene(width, height)
    rgb[::16, :] = 20
    rgb[:, ::16] = 235
    return rgb


def test_a_black_picture_is_dark_and_flat() -> None:
    stats = measure(picture(np.zeros((360, 640, 3), np.uint8), PixelFormat.YUV420P))
    assert stats.mean == pytest.approx(16, abs=1)  # limited range: black is 16
    assert stats.deviation == 0
    assert stats.sharpness == 0
    assert stats.thumbnail == bytes([16] * 192)


def test_a_covered_lens_is_flat_but_not_dark() -> None:
    stats = measure(picture(np.full((360, 640, 3), 120, np.uint8), PixelFormat.YUV420P))
    assert 100 < stats.mean < 140
    assert stats.deviation < 1


@pytest.mark.parametrize("layout", list(PixelFormat))
def test_blur_takes_sharpness_and_leaves_brightness(layout: PixelFormat) -> None:
    rgb = detailed()
    blurred = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 6), np.uint8)
    sharp, soft = measure(picture(rgb, layout)), measure(picture(blurred, layout))
    assert soft.sharpness < sharp.sharpness / 20
    assert soft.mean == pytest.approx(sharp.mean, abs=2)


def test_sharpness_is_the_laplacian_of_the_half_size_luma() -> None:
    grey = np.asarray(cv2.cvtColor(detailed(), cv2.COLOR_RGB2GRAY), np.uint8)
    half = cv2.resize(grey, (320, 180), interpolation=cv2.INTER_AREA)
    expected = float(cv2.Laplacian(half, cv2.CV_64F).var())
    assert measure(picture(detailed(), PixelFormat.GRAY8)).sharpness == pytest.approx(expected, rel=1e-6)


def test_the_thumbnail_is_sixteen_by_twelve_means_row_by_row() -> None:
    grey = np.zeros((360, 640), np.uint8)
    grey[:30, 600:] = 200  # the top right cell
    thumbnail = measure(Picture(grey, PixelFormat.GRAY8, 640, 360)).thumbnail
    assert len(thumbnail) == 192
    assert thumbnail[15] == 200
    assert sum(thumbnail) == 200


def test_the_same_picture_has_the_same_thumbnail_and_a_moved_one_has_not() -> None:
    still, moved = detailed(), np.roll(scene(640, 360), 40, axis=1)
    first = measure(picture(still, PixelFormat.YUV420P))
    assert first.thumbnail == measure(picture(still.copy(), PixelFormat.YUV420P)).thumbnail
    assert first.thumbnail != measure(picture(moved, PixelFormat.YUV420P)).thumbnail


@pytest.mark.parametrize("wh", [(2, 2), (17, 13), (3840, 2160)])
def test_any_size_of_picture_is_measured(wh: tuple[int, int]) -> None:
    assert len(measure(picture(scene(*wh), PixelFormat.RGB24)).thumbnail) == 192


def test_a_single_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="1x1 is too small"):
        measure(Picture(np.zeros((1, 1), np.uint8), PixelFormat.GRAY8, 1, 1))
