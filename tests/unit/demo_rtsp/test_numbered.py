"""Numbered pictures give their number back, and nothing else passes for one."""

import numpy as np
import pytest

from tests.numbered import LARGEST_NUMBER, numbered_picture, read_number


@pytest.mark.parametrize("n", [0, 1, 255, 65_537, 11_184_810, LARGEST_NUMBER])
@pytest.mark.parametrize(("width", "height"), [(640, 360), (320, 240), (64, 32), (1280, 720)])
def test_a_picture_gives_back_its_number(n: int, width: int, height: int) -> None:
    picture = numbered_picture(n, width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert read_number(picture[:, :, 0]) == n


def test_the_number_survives_limited_range_and_noise() -> None:
    luma = numbered_picture(4711, 640, 360)[:, :, 0].astype(float) * 219 / 255 + 16
    noisy = luma + np.random.default_rng(1).normal(0, 25, luma.shape)
    assert read_number(noisy.clip(0, 255).astype(np.uint8)) == 4711


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_an_even_picture_has_no_number(level: int) -> None:
    assert read_number(np.full((360, 640), level, np.uint8)) is None


def test_a_flipped_cell_is_noticed() -> None:
    luma = numbered_picture(12, 640, 360)[:, :, 0].copy()
    luma[:90, :80] = 255 - luma[:90, :80]
    assert read_number(luma) is None


def test_two_blended_numbers_are_not_read_as_a_third() -> None:
    blend = numbered_picture(1, 640, 360)[:, :, 0] // 2 + numbered_picture(2, 640, 360)[:, :, 0] // 2
    assert read_number(blend) is None


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="16777215"):
        numbered_picture(LARGEST_NUMBER + 1, 640, 360)
