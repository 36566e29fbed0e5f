"""What people changed lies over the config file, and what no longer fits is told and left out."""

from typing import Any

import pytest

from pipeline.config import RaylineConfig, config_of_data
from pipeline.orchestrate.base_overrides import BaseOverrides
from pipeline.orchestrate.desired import CameraOverride, DesiredState, merge
from stages.values import CameraId

CAM, OTHER = CameraId("cam-1"), CameraId("cam-2")


def config(**cameras: dict[str, Any]) -> RaylineConfig:
    return config_of_data(
        {
            "models": {"m": {"weights": "/m.pt"}},
            "recipes": {"watch": {"model": "m"}, "check": {"model": "m"}},
            "lines": {"filling": {"recipe": "check"}},
            "cameras": cameras or {"cam-1": {"url": "rtsp://u:hush-hush@h/1", "recipe": "watch", "fps": 10}},
        }
    )


def merged(override: CameraOverride, camera: CameraId = CAM, **cameras: dict[str, Any]) -> DesiredState:
    return merge(config(**cameras), {camera: override}, version=7)


def test_without_overrides_the_file_holds() -> None:
    state = merge(config(), {}, version=3)
    assert (state.config, state.version, state.kind(CAM)) == (config(), 3, None)


@pytest.mark.parametrize(
    ("override", "kind"),
    [
        (CameraOverride(removed=True), "removed"),
        (CameraOverride(paused=True), "paused"),
        (CameraOverride(added={"url": "rtsp://h/2", "recipe": "watch"}), "added"),
        (CameraOverride(changed={"fps": 5}), "changed"),
        (CameraOverride(), None),
    ],
)
def test_one_word_tells_in_what_a_camera_differs(override: CameraOverride, kind: str | None) -> None:
    assert merged(override).kind(CAM) == kind


def test_a_removed_camera_does_not_run() -> None:
    state = merged(CameraOverride(removed=True))
    assert state.config.camera_ids() == ()
    assert state.removed() == (CAM,)
    assert not state.is_paused(CAM)


def test_a_paused_camera_keeps_its_place() -> None:
    state = merged(CameraOverride(paused=True))
    assert state.config.camera_ids() == (CAM,)
    assert state.is_paused(CAM)


def test_changed_settings_win_and_the_others_stay() -> None:
    camera = merged(CameraOverride(changed={"fps": 5})).config.cameras[CAM]
    assert camera.fps == 5
    assert camera.url.get_secret_value() == "rtsp://u:hush-hush@h/1"


def test_a_change_may_give_a_setting_back_its_default() -> None:
    assert merged(CameraOverride(changed={"fps": None})).config.cameras[CAM].fps is None


def test_an_added_camera_runs_beside_those_of_the_file() -> None:
    state = merged(CameraOverride(added={"url": "rtsp://h/2", "line": "filling"}), OTHER)
    assert state.config.camera_ids() == (CAM, OTHER)
    assert state.config.camera(OTHER).recipe_name == "check"


def test_an_added_camera_wins_over_one_that_the_file_names_later() -> None:
    state = merged(CameraOverride(added={"url": "rtsp://h/mine", "recipe": "watch"}))
    assert state.config.cameras[CAM].url.get_secret_value() == "rtsp://h/mine"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        pytest.param(CameraOverride(changed={"recipe": "gone"}), "there is no recipe 'gone'", id="a recipe"),
        pytest.param(CameraOverride(changed={"fps": -1}), "greater than 0", id="out of bounds"),
        pytest.param(CameraOverride(changed={"fbs": 1}), "cameras.cam-1.fbs: unknown setting", id="a typo"),
        pytest.param(CameraOverride(changed={"url": "rstp://u:hush-hush@h"}), "unknown scheme", id="an address"),
    ],
)
def test_an_override_that_does_not_fit_is_told_and_the_file_holds(override: CameraOverride, told: str) -> None:
    state = merged(override)
    assert told in state.problems[CAM]
    assert "hush-hush" not in state.problems[CAM]
    assert state.config == config()


def test_a_change_to_a_camera_that_left_the_file_is_told() -> None:
    state = merged(CameraOverride(changed={"fps": 5}), OTHER)
    assert "names this camera no more" in state.problems[OTHER]
    assert "rayline cameras reset cam-2" in state.problems[OTHER]
    assert state.config.camera_ids() == (CAM,)


def test_a_change_of_a_line_that_cannot_be_read_is_told_where_it_is_the_only_one() -> None:
    unread = {"line filling": "it cannot be read"}
    assert merge(config(), {}, base=BaseOverrides(unread=unread)).base_problems == unread


def test_one_bad_override_leaves_the_others_in_force() -> None:
    overrides = {CAM: CameraOverride(changed={"fps": -1}), OTHER: CameraOverride(removed=True)}
    cameras = {name: {"url": f"rtsp://h/{name}", "recipe": "watch"} for name in (CAM, OTHER)}
    state = merge(config(**cameras), overrides)
    assert state.config.camera_ids() == (CAM,)
    assert set(state.problems) == {CAM}


def test_two_overrides_that_exclude_each_other_leave_the_older_one() -> None:
    cameras = {name: {"url": f"rtsp://h/{name}", "line": "filling"} for name in (CAM, OTHER)}
    overrides = {
        CAM: CameraOverride(changed={"counts": True}, at=2.0),
        OTHER: CameraOverride(changed={"counts": True}, at=1.0),
    }
    state = merge(config(**cameras), overrides)
    assert [state.config.cameras[name].counts for name in (CAM, OTHER)] == [None, True]
    assert "line 'filling' is counted at camera" in state.problems[CAM]


def test_overrides_that_fit_together_hold_whichever_came_last() -> None:
    cameras: dict[str, dict[str, Any]] = {name: {"url": f"rtsp://h/{name}", "line": "filling"} for name in (CAM, OTHER)}
    cameras[CAM]["counts"] = True
    for first, second in ((1.0, 2.0), (2.0, 1.0)):
        overrides = {
            CAM: CameraOverride(changed={"counts": False}, at=first),
            OTHER: CameraOverride(changed={"counts": True}, at=second),
        }
        state = merge(config(**cameras), overrides)
        assert state.problems == {}
        assert [state.config.cameras[name].counts for name in (CAM, OTHER)] == [False, True]


def with_a_model_that_no_camera_uses() -> RaylineConfig:
    return config_of_data(
        {
            "models": {"m": {"weights": "/m.pt"}, "idle": {"weights": "/i.pt"}},
            "recipes": {"watch": {"model": "m"}, "other": {"model": "idle"}},
            "cameras": {"cam-1": {"url": "rtsp://h/1", "recipe": "watch"}},
        }
    )


@pytest.mark.parametrize(
    ("camera", "override"),
    [
        (OTHER, CameraOverride(added={"url": "rtsp://h/2", "recipe": "other"})),
        (CAM, CameraOverride(changed={"recipe": "other"})),
    ],
)
def test_a_camera_whose_model_does_not_run_is_told_what_to_do(camera: CameraId, override: CameraOverride) -> None:
    file = with_a_model_that_no_camera_uses()
    state = merge(file, {camera: override})
    assert "model 'idle' is not running" in state.problems[camera]
    assert "restart `rayline up`" in state.problems[camera]
    assert state.config == file


def test_a_model_runs_on_though_its_last_camera_was_removed() -> None:
    overrides = {
        CAM: CameraOverride(removed=True, at=1.0),
        OTHER: CameraOverride(added={"url": "rtsp://h/2", "recipe": "watch"}, at=2.0),
    }
    state = merge(config(), overrides)
    assert (state.problems, state.config.camera_ids()) == ({}, (OTHER,))
