"""The renderer: the same picture for the same moment, bottles where the truth says, bounded memory."""

import numpy as np
import pytest

from pipeline.demo import render
from pipeline.demo.bottle import PRODUCTS, Defect, make_bottle
from pipeline.demo.line import BottleLine
from pipeline.demo.render import CLASS_NAMES, Renderer
from pipeline.demo.sprite import draw_sprite


def test_the_same_moment_of_the_same_seed_is_the_same_picture() -> None:
    first, second = Renderer(BottleLine(1)), Renderer(BottleLine(1))
    first.render(3.0)  # what was drawn before leaves no trace
    picture = first.render(12.5)
    assert picture.shape == (360, 640, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, second.render(12.5))


def test_other_seeds_and_moments_give_other_pictures() -> None:
    renderer = Renderer(BottleLine(1))
    assert not np.array_equal(renderer.render(12.5), renderer.render(12.6))
    assert not np.array_equal(renderer.render(12.5), Renderer(BottleLine(2)).render(12.5))


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("defects", [set(), *({defect} for defect in Defect)], ids=lambda defects: "+".join(defects))
def test_the_bottles_box_is_tight_to_its_pixels(product: str, defects: set[Defect]) -> None:
    bottle = make_bottle(np.random.default_rng(3), PRODUCTS[product], defects)
    sprite = draw_sprite(bottle)
    solid = sprite.through[..., 0] < 215  # above the base there is no shadow, so all that dims is the bottle
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid[: int(sprite.base) - 30].any(axis=0))
    left, _, right, upper = bottle.boxes["bottle"]
    assert columns[0] == pytest.approx(sprite.axis + left, abs=1.5)
    assert columns[-1] + 1 == pytest.approx(sprite.axis + right, abs=1.5)
    assert rows[0] == pytest.approx(sprite.base - upper, abs=1.5)


@pytest.mark.parametrize(
    ("defect", "box"),
    [
        (Defect.MISSING_CAP, "cap"),
        (Defect.MISSING_LABEL, "label"),
        (Defect.CROOKED_LABEL, "label"),
        (Defect.DENT, "dent"),
        (Defect.LOW_FILL, "level"),
    ],
)
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_defect_changes_the_picture_where_it_is(product: str, defect: Defect, box: str) -> None:
    good = make_bottle(np.random.default_rng(9), PRODUCTS[product], set())
    bad = make_bottle(np.random.default_rng(9), PRODUCTS[product], {defect})
    where = bad.boxes.get(box) or good.boxes[box]
    a, b = draw_sprite(good), draw_sprite(bad)
    rows = slice(int(a.base - where[3]), int(a.base - where[1]))
    columns = slice(int(a.axis + where[0]), int(a.axis + where[2]))
    change = np.abs(a.colour[rows, columns].astype(int) - b.colour[rows, columns].astype(int))
    assert change.mean() > 8


def test_a_bottle_moves_on_the_picture_as_the_line_says() -> None:
    line = BottleLine(11)
    renderer = Renderer(line)
    part = line.parts(20, 60)[3]
    boxes = {box.part: box.xyxy for box in line.boxes_at(part.trigger_at_s) if box.label == "bottle"}
    x1, y1, x2, y2 = (round(value) for value in boxes[part.index])
    picture = renderer.render(part.trigger_at_s).astype(int)
    later_s = part.trigger_at_s + 0.4
    moved = round(line.travel_at(later_s) - line.travel_at(part.trigger_at_s))
    later = renderer.render(later_s).astype(int)
    inner = slice(y1 + 60, y2 - 10)
    same = np.abs(later[inner, x1 + moved + 4 : x2 + moved - 4] - picture[inner, x1 + 4 : x2 - 4]).mean()
    other = np.abs(later[inner, x1 + 4 : x2 - 4] - picture[inner, x1 + 4 : x2 - 4]).mean()
    assert same < 12 < other


def test_sprites_are_kept_for_a_few_pictures_only() -> None:
    renderer = Renderer(BottleLine(1))
    for t_s in range(0, 60, 4):
        renderer.render(float(t_s))
    assert renderer.cached_sprites <= render.CACHED_SPRITES


def test_the_classes_are_those_the_line_speaks_of() -> None:
    labels = {box.label for t_s in range(5, 120, 3) for box in BottleLine(1).boxes_at(t_s)}
    assert labels == set(CLASS_NAMES)
