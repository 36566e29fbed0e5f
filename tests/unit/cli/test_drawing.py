"""What `snapshot` draws is where the settings say."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest

from pipeline.commands.drawing import draw_boxes, draw_grid, draw_recipe, write_picture
from pipeline.commands.snapshot import nearest
from pipeline.ingest.source import SourceFrame
from stages.errors import RaylineError
from stages.results.models import DetectionMessage, parse_message
from stages.values import Clock, Picture, PixelFormat
from tests.unit.config.site import SITE, config_from

RED, CYAN = [0, 0, 255], [255, 255, 0]
GOLDEN = Path(__file__).parents[2] / "golden" / "detection-1.0.json"


def black(width: int = 200, height: int = 100) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def message(**changes: object) -> DetectionMessage:
    told = parse_message(orjson.dumps({**orjson.loads(GOLDEN.read_bytes()), **changes}))
    assert isinstance(told, DetectionMessage)
    return told


def frame(captured_at: float) -> SourceFrame:
    picture = Picture(np.zeros((2, 2), np.uint8), PixelFormat.GRAY8, 2, 2)
    return SourceFrame(picture, captured_at, Clock.ARRIVAL, captured_at, 0, 0)


def test_the_trigger_stands_where_it_is_set() -> None:
    image = draw_recipe(black(), config_from(SITE).recipes["check"])
    assert image[90, 120].tolist() == RED
    assert image[90, 60].tolist() == [0, 0, 0]


def test_the_region_is_framed() -> None:
    recipe = config_from(SITE.replace("{model: parts}", "{model: parts, roi: [0.25, 0.5, 0.75, 0.9]}")).recipes["watch"]
    image = draw_recipe(black(), recipe)
    assert image[70, 50].tolist() == CYAN
    assert image[90, 100].tolist() == CYAN
    assert image[30, 50].tolist() == [0, 0, 0]


def test_the_grid_stands_at_the_tenths() -> None:
    image = draw_grid(black())
    assert image[53, 100].any()
    assert image[50, 93].any()
    assert not image[55, 93].any()


def test_boxes_are_scaled_to_the_picture() -> None:
    told = message(size={"width": 400, "height": 200})
    told = told.model_copy(update={"objects": [told.objects[0].model_copy(update={"box": (200, 100, 360, 180)})]})
    image = draw_boxes(black(), told)
    assert image[70, 100].any()
    assert image[70, 180].any()
    assert not image[70, 140].any()


def test_the_picture_given_is_left_alone() -> None:
    image = black()
    draw_recipe(draw_grid(image), config_from(SITE).recipes["check"])
    assert not image.any()


def test_grey_pictures_are_drawn_on_in_colour() -> None:
    assert draw_grid(np.zeros((100, 200), np.uint8)).shape == (100, 200, 3)


def test_the_picture_and_boxes_nearest_in_time_belong_together() -> None:
    frames = [frame(100.0), frame(100.2), frame(100.4)]
    told = [message(captured_at=datetime.fromtimestamp(at, UTC).isoformat()) for at in (99.0, 100.21)]
    picture, found = nearest(frames, told)
    assert (picture.captured_at, found) == (100.2, told[1])


def test_boxes_of_another_time_are_not_drawn() -> None:
    told = [message(captured_at=datetime.fromtimestamp(50.0, UTC).isoformat())]
    picture, found = nearest([frame(100.0), frame(101.0)], told)
    assert (picture.captured_at, found) == (101.0, None)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "deep/er/a.jpeg"])
def test_a_picture_is_written_in_the_format_of_its_name(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, black())
    assert cv2.imread(str(tmp_path / name)).shape == (100, 200, 3)


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RaylineError, match=r"\.jpg or \.png"):
        write_picture(tmp_path / "a.mp4", black())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RaylineError, match="file"):
        write_picture(tmp_path / "file" / "a.jpg", black())
