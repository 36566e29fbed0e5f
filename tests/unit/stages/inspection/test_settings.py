"""Settings that cannot work are refused, and the message names the place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stages.inspection.inspector import Inspector
from stages.inspection.settings import InspectionSettings, sightings_before_trigger, travel_to_trigger
from stages.values import CameraId
from tests.unit.stages.inspection.line import CLASSES, SETTINGS

GOOD: dict[str, Any] = {
    "part_label": "bottle",
    "trigger": [[0.62, 0.0], [0.62, 1.0]],
    "required": [{"label": "cap"}],
    "defects": [{"label": "dent"}],
}


def test_a_recipe_reads_as_yaml_would_give_it() -> None:
    settings = InspectionSettings.model_validate({**GOOD, "direction": "right_to_left", "min_votes": 7})
    assert settings.vector == (-1.0, 0.0)
    assert settings.rule_names == ("cap", "dent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"trigger": [[0.5, 0.5], [0.5, 0.5]]}, "trigger: .* has no length", id="trigger without length"),
        pytest.param({"trigger": [[0.5, 0.0], [0.5, 360.0]]}, "trigger: .* leaves the picture", id="trigger in pixels"),
        pytest.param({"trigger": [[0.1, 0.5], [0.9, 0.5]]}, "trigger: it runs along direction", id="along the belt"),
        pytest.param({"direction": [0.0, 0.0]}, "direction: .* leads nowhere", id="no direction"),
        pytest.param({"direction": "sideways"}, "direction", id="unknown direction"),
        pytest.param({"required": []}, "without positive evidence nothing may pass", id="nothing required"),
        pytest.param({"min_votes": 3}, r"required\[0\].min_frames 4 is more than min_votes 3", id="k above min_votes"),
        pytest.param({"max_gap_ms": 5000}, "lost_after_s 2.0 is shorter than max_gap_ms", id="lost too soon"),
        pytest.param({"defects": [{"label": "cap"}]}, "the name 'cap' is taken", id="two rules of one name"),
        pytest.param({"required": [{"label": "usable"}]}, "the name 'usable' is taken", id="reserved name"),
        pytest.param({"required": [{"label": "bottle"}]}, "already used by part_label", id="part as feature"),
        pytest.param(
            {"required": [{"label": "cap", "absent_share": 0.6}]}, "absent_share 0.6 must be below", id="both at once"
        ),
        pytest.param(
            {"defects": [{"label": "dent", "ignore_share": 0.5}]}, "ignore_share 0.5 must be below", id="sure, ignored"
        ),
        pytest.param(
            {"required": [{"label": "level", "center_y": {"min": 0.8, "max": 0.81}}]}, "min 0.8", id="empty band"
        ),
        pytest.param({"triger": 1}, "triger", id="a typo"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InspectionSettings.model_validate({**GOOD, **change})


def test_a_label_the_model_does_not_know_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"required\[1\]: the model knows no class 'label'; it knows bottle, cap"):
        Inspector(SETTINGS, CameraId("c"), "s", "r", ("bottle", "cap"))
    with pytest.raises(ValueError, match=r"defects\[1\].label: .*'dent'"):
        Inspector(SETTINGS, CameraId("c"), "s", "r", CLASSES[:-1])


@pytest.mark.parametrize(
    ("speed", "fps", "travel", "expected"), [(100, 10, 400, 40), (150, 6, 368, 14), (1000, 5, 150, 0)]
)
def test_sightings_follow_from_speed_and_rate(speed: float, fps: float, travel: float, expected: int) -> None:
    assert sightings_before_trigger(speed, fps, travel) == expected


def test_a_belt_that_stands_gives_no_number() -> None:
    with pytest.raises(ValueError, match="above 0"):
        sightings_before_trigger(0, 10, 400)


@pytest.mark.parametrize(
    ("direction", "trigger", "travel"),
    [
        ("left_to_right", [[0.62, 0.0], [0.62, 1.0]], 0.62 * 640 - 30),
        ("right_to_left", [[0.62, 0.0], [0.62, 1.0]], 0.38 * 640 - 30),
        ("top_to_bottom", [[0.0, 0.5], [1.0, 0.5]], 180 - 30),
        ("right_to_left", [[0.99, 0.0], [0.99, 1.0]], 0.0),
    ],
)
def test_travel_is_counted_from_where_a_part_is_seen_whole(
    direction: str, trigger: list[list[float]], travel: float
) -> None:
    settings = InspectionSettings.model_validate({**GOOD, "direction": direction, "trigger": trigger})
    assert travel_to_trigger(settings, (640, 360), 60) == pytest.approx(travel)
