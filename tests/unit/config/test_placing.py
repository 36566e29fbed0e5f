"""A camera's own trigger and zones take the place of its recipe's."""

from typing import Any

import pytest

from pipeline.config import RaylineConfig, config_of_data
from pipeline.config_errors import ConfigError
from tests.unit.config.site import site

AREA = {"name": "chute", "polygon": [[0.1, 0.1], [0.3, 0.1], [0.2, 0.4]]}


def config(**settings: Any) -> RaylineConfig:
    data = site()
    data["cameras"]["cam-1"] |= settings
    data["recipes"]["check"]["zones"] = {"zones": [AREA | {"name": "belt"}], "lines": [], "hysteresis": 0.05}
    return config_of_data(data)


def test_the_cameras_trigger_is_in_its_recipe_and_in_no_other() -> None:
    read = config(trigger=[[0.4, 0.0], [0.4, 1.0]])
    placed = read.camera("cam-1").recipe.inspection
    assert placed is not None
    assert placed.trigger == ((0.4, 0.0), (0.4, 1.0))
    of_recipe = read.recipes["check"].inspection
    assert of_recipe is not None
    assert of_recipe.trigger == ((0.6, 0.0), (0.6, 1.0))
    assert placed.model_copy(update={"trigger": of_recipe.trigger}) == of_recipe


def test_its_zones_take_the_place_of_the_recipes_areas_alone() -> None:
    zones = config(zones=[AREA]).camera("cam-1").recipe.zones
    assert ([zone.name for zone in zones.zones], zones.hysteresis) == (["chute"], 0.05)
    assert config(zones=[]).camera("cam-1").recipe.zones.zones == ()
    assert [zone.name for zone in config().camera("cam-1").recipe.zones.zones] == ["belt"]


def test_a_trigger_does_nothing_where_nothing_is_judged() -> None:
    assert config(recipe="watch", trigger=[[0.4, 0.0], [0.4, 1.0]]).camera("cam-1").recipe.inspection is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"trigger": [[0.1, 0.5], [0.9, 0.5]]},
            "cameras.cam-1.trigger: does not go with recipe 'check': it runs along",
        ),
        ({"trigger": [[0.1, 0.5], [1.9, 0.5]]}, "leaves the picture"),
        ({"zones": [AREA, AREA]}, "zone names must differ, chute occurs twice"),
        ({"zones": [AREA | {"polygon": [[0, 0], [1, 1]]}]}, "cameras.cam-1.zones"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(**settings)
    assert told in str(refused.value)
