"""Drawing on a camera's picture: clicks become settings that a camera takes."""

import pytest
import yaml

from pipeline.config import RecipeSettings, config_of_data
from pipeline.dashboard.cameras.drawing import MOST_CORNERS, Drawing, NotDrawn, Tool
from pipeline.dashboard.cameras.overlay import as_svg, overlay
from tests.unit.config.site import site

SQUARE = [(0.1, 0.1), (0.3, 0.1), (0.3, 0.3), (0.1, 0.3)]


def recipe() -> RecipeSettings:
    data = site()
    data["recipes"]["check"]["zones"] = {"zones": [{"name": "belt", "polygon": SQUARE, "classes": ["bottle"]}]}
    return config_of_data(data).recipes["check"]


def drawn(tool: Tool, *points: tuple[float, float], name: str = "chute") -> Drawing:
    drawing = Drawing.of(recipe())
    for point in points:
        drawing.click(tool, point, name)
    return drawing


def test_what_is_in_force_is_drawn_and_changes_nothing() -> None:
    drawing = Drawing.of(recipe())
    before = drawing.settings()
    assert before["trigger"] == [[0.6, 0.0], [0.6, 1.0]]
    assert before["zones"][0]["classes"] == ["bottle"]
    assert drawing.changes(before) == {}


def test_two_clicks_make_a_trigger_and_a_third_begins_another() -> None:
    assert drawn(Tool.TRIGGER, (0.4, 0.0), (0.4, 1.2)).trigger == [(0.4, 0.0), (0.4, 1.0)]
    drawing = drawn(Tool.TRIGGER, (0.4, 0.0), (0.4, 1.0), (0.5, 0.0))
    assert "trigger" not in drawing.settings()
    drawing.undo(Tool.TRIGGER)
    assert drawing.trigger == []


def test_a_zone_is_closed_by_a_click_on_its_first_corner() -> None:
    drawing = drawn(Tool.ZONE, *SQUARE, (0.11, 0.09))
    assert (drawing.begun, [zone.name for zone in drawing.zones]) == ([], ["belt", "chute"])
    changes = drawing.changes(Drawing.of(recipe()).settings())
    assert changes["zones"][1] == {"name": "chute", "polygon": [list(corner) for corner in SQUARE]}
    assert "trigger" not in changes


@pytest.mark.parametrize(("points", "name"), [(2, "chute"), (4, "belt"), (4, " ")], ids=["corners", "taken", "none"])
def test_what_is_no_zone_is_refused_and_stays(points: int, name: str) -> None:
    drawing = drawn(Tool.ZONE, *SQUARE[:points])
    with pytest.raises(NotDrawn):
        drawing.close(name)
    assert len(drawing.begun) == points


def test_a_zone_has_only_so_many_corners() -> None:
    drawing = drawn(Tool.ZONE, *((0.2 + n / 100, 0.5) for n in range(MOST_CORNERS + 5)))
    assert len(drawing.begun) == MOST_CORNERS


def test_a_coordinate_is_set_by_its_number() -> None:
    drawing = Drawing.of(recipe())
    drawing.move(drawing.trigger, 1, 0, 0.55)
    drawing.move(drawing.zones[0].corners, 0, 1, -3)
    assert (drawing.trigger[1], drawing.zones[0].corners[0]) == ((0.55, 1.0), (0.1, 0.0))


def test_the_yaml_is_what_a_config_file_takes() -> None:
    data = site()
    data["cameras"]["cam-1"] |= yaml.safe_load(drawn(Tool.TRIGGER, (0.4, 0), (0.4, 1)).as_yaml("cam-1"))["cameras"][
        "cam-1"
    ]
    inspection = config_of_data(data).camera("cam-1").recipe.inspection
    assert inspection is not None
    assert inspection.trigger == ((0.4, 0.0), (0.4, 1.0))


def test_names_are_text_and_nothing_else_in_the_picture() -> None:
    drawing = drawn(Tool.ZONE, *SQUARE, (0.1, 0.1), name="<script>alert(1)</script>")
    told = as_svg(drawing, (640, 360), (1.0, 0.0)) + overlay(drawing, (640, 360), None, corners=True)
    assert "<script" not in told
    assert "&lt;script&gt;" in told
