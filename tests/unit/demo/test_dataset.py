"""The training pictures: in the model's geometry, through a codec, with boxes that lie where things are."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.demo.dataset import (
    CROP,
    CROPS_PER_SEED,
    HELD_OUT,
    MODEL_SIZE,
    Sample,
    letterbox,
    samples,
    through_codec,
    write_dataset,
)
from pipeline.demo.line import BottleLine, TruthBox
from pipeline.demo.render import CLASS_NAMES, Renderer
from pipeline.demo.train import FIRST_SEED

SEED = 77


@pytest.fixture(scope="module")
def crops() -> list[Sample]:
    """Of one seed, made once."""
    return list(samples(SEED))


def test_a_wide_picture_is_centred_between_bars() -> None:
    fitted, fit = letterbox(np.zeros((360, 640, 3), np.uint8))
    assert fitted.shape == (MODEL_SIZE[1], MODEL_SIZE[0], 3)
    assert (fit.left, fit.top) == (0, 11)
    assert fit.scale == pytest.approx(0.65)
    assert (fitted[:11] == 114).all()
    assert (fitted[11:245] == 0).all()
    assert (fitted[245:] == 114).all()
    assert fit.to_input(TruthBox(0, "cap", (0, 0, 640, 360))) == pytest.approx((0, 11, 416, 245))


def test_the_codec_keeps_number_and_order_and_costs_some_quality() -> None:
    renderer = Renderer(BottleLine(1))
    clean = [renderer.render(10 + number / 15) for number in range(5)]
    shown = through_codec(clean, fps=15, bit_rate=1_500_000)
    assert len(shown) == len(clean)
    for number, picture in enumerate(shown):
        distances = [np.abs(picture.astype(int) - each.astype(int)).mean() for each in clean]
        assert int(np.argmin(distances)) == number
        assert 0.5 < min(distances) < 12


def test_samples_are_square_crops_with_boxes_inside_and_the_same_every_time(crops: list[Sample]) -> None:
    assert len(crops) == CROPS_PER_SEED
    for a, b in zip(crops, samples(SEED), strict=True):
        assert a.picture.shape == (CROP, CROP, 3)
        assert np.array_equal(a.picture, b.picture)
        assert a.boxes == b.boxes
        for kind, x1, y1, x2, y2 in a.boxes:
            assert 0 <= kind < len(CLASS_NAMES)
            assert 0 <= x1 < x2 <= CROP
            assert 0 <= y1 < y2 <= CROP


def test_no_seed_is_both_learnt_and_measured() -> None:
    assert FIRST_SEED + 100_000 < HELD_OUT


def test_a_written_dataset_lists_its_crops_and_names_each_box_by_centre_and_size(
    tmp_path: Path, crops: list[Sample]
) -> None:
    write_dataset(tmp_path, [SEED], workers=1)
    for number, sample in enumerate(crops):
        lines = (tmp_path / "labels" / f"000077-{number:02d}.txt").read_text().splitlines()
        assert len(lines) == len(sample.boxes)
        for line, (kind, x1, _, x2, _) in zip(lines, sample.boxes, strict=True):
            fields = line.split()
            assert int(fields[0]) == kind
            assert float(fields[1]) * CROP == pytest.approx((x1 + x2) / 2, abs=0.01)
    for title in ("all", "rare"):
        described = json.loads((tmp_path / f"{title}.yaml").read_text())
        listed = (tmp_path / described["train"]).read_text().splitlines()
        assert all((tmp_path / name).exists() for name in listed)
        assert described["names"] == {str(kind): name for kind, name in enumerate(CLASS_NAMES)}
    dented = {n for n, sample in enumerate(crops) if any(box[0] == CLASS_NAMES.index("dent") for box in sample.boxes)}
    rare = {int(name[-6:-4]) for name in (tmp_path / "rare.txt").read_text().splitlines()}
    assert dented <= rare < set(range(CROPS_PER_SEED))
