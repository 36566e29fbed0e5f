"""Where pixels come to lie, and that every format gives the same colours."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics.data.augment import LetterBox

from stages.preprocess.letterbox import PADDING, Preprocessor, fit_into
from stages.values import CameraId, FrameFailed, Picture, PictureStats, PixelFormat, Prepared, UInt8
from tests.unit.stages.preprocess.pictures import frame, picture, scene

SIZE_HW = (384, 640)
CAMERA = CameraId("cam-1")


def prepare(rgb: UInt8, layout: PixelFormat = PixelFormat.RGB24, size_hw: tuple[int, int] = SIZE_HW) -> Prepared:
    return Preprocessor(size_hw).prepare([frame(picture(rgb, layout))])


@pytest.mark.parametrize(
    "wh", [(640, 360), (1280, 720), (320, 240), (768, 432), (704, 576), (360, 640), (101, 333), (640, 384)]
)
def test_rgb_is_letterboxed_just_as_ultralytics_does(wh: tuple[int, int]) -> None:
    rgb = scene(*wh)
    expected = LetterBox(SIZE_HW, auto=False, center=True)(image=rgb.copy())
    assert np.array_equal(prepare(rgb).tensor[0].transpose(1, 2, 0), expected)


@pytest.mark.parametrize("layout", [PixelFormat.YUV420P, PixelFormat.NV12])
@pytest.mark.parametrize("wh", [(640, 360), (1280, 720), (320, 240), (704, 576)])
def test_each_format_gives_the_same_rgb(layout: PixelFormat, wh: tuple[int, int]) -> None:
    rgb = scene(*wh)
    difference = np.abs(prepare(rgb, layout).tensor.astype(int) - prepare(rgb).tensor)
    assert difference.mean() < 1.5
    assert np.percentile(difference, 99) <= 6


def test_grey_is_the_same_in_all_three_channels() -> None:
    prepared = prepare(scene(640, 360), PixelFormat.GRAY8)
    assert np.array_equal(prepared.tensor[0, 0], prepared.tensor[0, 2])
    assert np.array_equal(prepared.tensor[0, 1, 12:372], cv2.cvtColor(scene(640, 360), cv2.COLOR_RGB2GRAY))


def test_a_picture_that_fits_is_not_resized() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    prepared = prepare(rgb)
    assert np.array_equal(prepared.tensor[0, :, 12:372], rgb.transpose(2, 0, 1))
    assert prepared.to_source[0].tolist() == [1, 1, 0, 12]


def test_the_rest_is_padded_grey() -> None:
    tensor = prepare(np.zeros((360, 640, 3), np.uint8)).tensor[0]
    assert (tensor[:, :12] == PADDING).all()
    assert (tensor[:, 372:] == PADDING).all()
    assert not tensor[:, 12:372].any()


@given(st.integers(1, 4000), st.integers(1, 4000))
@settings(max_examples=200, deadline=None)
def test_the_fit_stays_inside_and_keeps_the_shape(width: int, height: int) -> None:
    fit = fit_into(width, height, 640, 384)
    assert fit.left >= 0
    assert fit.top >= 0
    assert fit.left + fit.width <= 640
    assert fit.top + fit.height <= 384
    assert fit.width == 640 or fit.height == 384
    assert abs(fit.width * height - fit.height * width) <= max(width, height)


@pytest.mark.parametrize("layout", list(PixelFormat))
@pytest.mark.parametrize(
    "roi", [(0.0, 0.0, 1.0, 1.0), (0.25, 0.1, 0.8, 0.9), (0.5, 0.5, 1.0, 1.0), (0.013, 0.377, 0.51, 0.612)]
)
def test_a_mark_is_found_where_it_was(layout: PixelFormat, roi: tuple[float, float, float, float]) -> None:
    """Round trip: a white mark's place in the tensor leads back to its place in the source."""
    width, height, side = 1280, 720, 40
    x, y = (int((roi[0] + roi[2]) / 2 * width) // 2 * 2, int((roi[1] + roi[3]) / 2 * height) // 2 * 2)
    rgb = np.full((height, width, 3), 40, np.uint8)
    rgb[y : y + side, x : x + side] = 255
    prepared = Preprocessor(SIZE_HW).prepare([frame(picture(rgb, layout))], {CAMERA: roi})
    scale_x, scale_y, offset_x, offset_y = prepared.to_source[0]
    rows, columns = np.nonzero(prepared.tensor[0, 1] > 150)
    found_x = (np.array([columns.min(), columns.max() + 1]) - offset_x) / scale_x
    found_y = (np.array([rows.min(), rows.max() + 1]) - offset_y) / scale_y
    assert found_x == pytest.approx([x, x + side], abs=2.0)
    assert found_y == pytest.approx([y, y + side], abs=2.0)
    assert prepared.source_wh[0].tolist() == [width, height]


@pytest.mark.parametrize("layout", list(PixelFormat))
def test_only_the_region_is_seen(layout: PixelFormat) -> None:
    rgb = np.full((360, 640, 3), 255, np.uint8)
    rgb[:, 320:] = 0
    prepared = Preprocessor(SIZE_HW).prepare([frame(picture(rgb, layout))], {CAMERA: (0.5, 0.0, 1.0, 1.0)})
    inside = prepared.tensor[0][prepared.tensor[0] != PADDING]
    assert inside.max() < 20


def test_a_region_belongs_to_its_camera_alone() -> None:
    image = picture(scene(640, 360), PixelFormat.YUV420P)
    frames = [frame(image, "cam-1"), frame(image, "cam-2")]
    prepared = Preprocessor(SIZE_HW).prepare(frames, {CameraId("cam-2"): (0.0, 0.0, 0.5, 0.5)})
    assert prepared.to_source[:, 0].tolist() == [1.0, 2.0]


def test_cameras_of_different_sizes_share_a_batch() -> None:
    frames = [frame(picture(scene(w, h), PixelFormat.YUV420P)) for w, h in [(640, 360), (1920, 1080), (352, 288)]]
    prepared = Preprocessor(SIZE_HW).prepare(frames)
    assert prepared.tensor.shape == (3, 3, 384, 640)
    assert prepared.source_wh.tolist() == [[640, 360], [1920, 1080], [352, 288]]
    assert prepared.index == (0, 1, 2)


def test_a_frame_that_cannot_be_prepared_leaves_the_others_alone() -> None:
    good = frame(picture(scene(640, 360), PixelFormat.YUV420P), "cam-1")
    odd = frame(Picture(np.zeros((5 * 3 // 2, 5), np.uint8), PixelFormat.YUV420P, 5, 5), "cam-2")
    prepared = Preprocessor(SIZE_HW).prepare([good, odd, good])
    assert prepared.index == (0, 2)
    assert prepared.tensor.shape[0] == len(prepared) == 2
    assert isinstance(prepared.stats[1], FrameFailed)
    assert "even size, got 5x5" in prepared.stats[1].reason
    assert isinstance(prepared.stats[2], PictureStats)
    assert np.array_equal(prepared.tensor[0], prepared.tensor[1])


@pytest.mark.parametrize(
    "roi", [(0.5, 0.0, 0.5, 1.0), (0.0, 0.0, 1.2, 1.0), (-0.1, 0.0, 1.0, 1.0), (float("nan"), 0.0, 1.0, 1.0)]
)
def test_a_region_without_pixels_fails_its_frame(roi: tuple[float, float, float, float]) -> None:
    prepared = Preprocessor(SIZE_HW).prepare([frame(picture(scene(64, 36), PixelFormat.RGB24))], {CAMERA: roi})
    assert prepared.index == ()
    assert isinstance(prepared.stats[0], FrameFailed)
    assert "within 0..1" in prepared.stats[0].reason


def test_no_frames_make_an_empty_tensor() -> None:
    prepared = Preprocessor(SIZE_HW).prepare([])
    assert prepared.tensor.shape == (0, 3, 384, 640)
    assert prepared.to_source.shape == (0, 4)
    assert prepared.stats == ()


def test_the_frame_itself_is_never_written_to() -> None:
    image = picture(scene(640, 360), PixelFormat.YUV420P)
    image.data.setflags(write=False)  # as it comes out of the object store
    Preprocessor(SIZE_HW).prepare([frame(image)])
