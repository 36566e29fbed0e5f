"""What a config says of its cameras, and what it never shows."""

import pytest

from pipeline.config import CameraConfig, RaylineConfig, config_hash
from pipeline.config_errors import ConfigError
from pipeline.config_urls import config_for_urls, is_url
from tests.unit.config.site import SITE, config_from


def test_a_camera_takes_its_lines_recipe_unless_it_names_one() -> None:
    config = config_from(SITE)
    assert [config.camera(name).recipe_name for name in ("cam-1", "cam-2", "gate")] == ["check", "watch", "watch"]


def test_a_camera_without_line_and_station_is_a_line_and_station_of_its_own() -> None:
    gate = config_from(SITE).camera("gate")
    assert (gate.line, gate.station, gate.counts) == ("gate", "gate", True)


def test_of_a_line_with_two_cameras_neither_counts_unless_told() -> None:
    config = config_from(SITE)
    assert [config.camera(name).counts for name in ("cam-1", "cam-2")] == [False, False]
    told = config_from(SITE.replace("    fps: 15", "    counts: true"))
    assert [told.camera(name).counts for name in ("cam-1", "cam-2")] == [True, False]


def test_a_line_may_have_a_target_of_parts_an_hour() -> None:
    told = config_from(SITE.replace("{recipe: check}", "{recipe: check, target_per_hour: 3600}"))
    assert (told.lines["filling"].target_per_hour, config_from(SITE).lines["filling"].target_per_hour) == (3600, None)
    with pytest.raises(ConfigError, match="greater than 0"):
        config_from(SITE.replace("{recipe: check}", "{recipe: check, target_per_hour: 0}"))


def test_the_only_recipe_needs_no_naming() -> None:
    text = "models: {m: {weights: m.pt}}\nrecipes: {r: {model: m}}\ncameras: {c: {url: 'rtsp://h/c'}}\n"
    assert config_from(text).camera("c").recipe_name == "r"


def test_a_resolved_camera_knows_its_name() -> None:
    assert config_from(SITE).camera("gate").settings.camera_id == "gate"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        pytest.param("fps: 15", "fps: 10", False, id="its rate"),
        pytest.param("{label: cap}", "{label: lid}", False, id="its recipe"),
        pytest.param("parts.pt", "others.pt", False, id="its model"),
        pytest.param("192.0.2.1/a", "192.0.2.1/z", False, id="its address"),
        pytest.param("hush-hush", "other", True, id="not its password"),
        pytest.param("192.0.2.3/c", "192.0.2.3/z", True, id="not another camera"),
        pytest.param("version: 1\n", "version: 1\nobserve: {log: json}\n", True, id="not the log"),
    ],
)
def test_the_hash_changes_with_what_shapes_the_cameras_results(old: str, new: str, same: bool) -> None:
    before, after = (config_hash(config_from(text).camera("cam-1")) for text in (SITE, SITE.replace(old, new)))
    assert (before == after) is same


def test_spelling_out_a_default_changes_no_hash() -> None:
    spelled = SITE.replace("    fps: 15", "    fps: 15\n    transport: tcp")
    assert config_hash(config_from(SITE).camera("cam-1")) == config_hash(config_from(spelled).camera("cam-1"))


def test_no_password_in_what_a_config_shows() -> None:
    config = config_from(SITE + "redis: {url: 'redis://:pass-phrase@192.0.2.9:6379/1'}\n")
    for shown in (repr(config), str(config), config.model_dump_json()):
        assert "hush-hush" not in shown
        assert "pass-phrase" not in shown


def test_shards_hold_cameras_of_one_model_that_are_all_live_or_all_not() -> None:
    config = config_from(SITE.replace("rtsp://192.0.2.3/c", "file:/clips/c.mp4"))
    assert config.camera("cam-1").shard_group != config.camera("gate").shard_group
    assert config.shard_count() == 2


def test_only_models_that_cameras_use_are_run() -> None:
    text = SITE.replace("  parts: {weights: parts.pt}", "  parts: {weights: parts.pt}\n  spare: {weights: spare.pt}")
    assert list(config_from(text).models_in_use()) == ["parts"]


def test_other_cameras_are_checked_as_the_files_are() -> None:
    config = config_from(SITE)
    stray = CameraConfig.model_validate({"url": "rtsp://h/x", "recipe": "nowhere"})
    with pytest.raises(ConfigError, match="there is no recipe 'nowhere'"):
        config.with_cameras({"stray": stray})


def test_another_redis_address_leaves_the_rest_as_it_was() -> None:
    config = config_from(SITE)
    moved = config.with_redis("redis://127.0.0.1:7777/0")
    assert moved.redis.address == "127.0.0.1:7777"
    assert moved.redis_settings().maxlen_events == config.redis.maxlen_events
    assert config.redis.embedded


def test_addresses_alone_make_a_config() -> None:
    config = config_for_urls(["rtsp://u:p@h/a", "rtsp://h/b"], "yolo.pt", ["person"])
    assert config.camera_ids() == ("cam-1", "cam-2")
    camera = config.camera("cam-2")
    assert (camera.line, camera.recipe.inspection, camera.model.classes) == ("cam-2", None, ("person",))


def test_without_weights_the_shipped_model_is_taken_at_its_own_size() -> None:
    model = config_for_urls(["rtsp://h/a"]).camera("cam-1").model
    assert model.weights.endswith("weights/bottles.pt")
    assert model.image_size == (256, 416)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("rtsp://h/a", True),
        ("file:clip.mp4", True),
        ("v4l2:/dev/video0", True),
        ("site.yaml", False),
        ("conf/site.yml", False),
        ("nothing-of-the-kind", False),
    ],
)
def test_what_up_is_given_is_told_apart(text: str, url: bool) -> None:
    assert is_url(text) is url


def test_every_setting_says_what_it_does() -> None:
    schema = RaylineConfig.model_json_schema()
    silent = [
        f"{name}.{key}"
        for name, part in {"RaylineConfig": schema, **schema["$defs"]}.items()
        for key, field in part.get("properties", {}).items()
        if len(field.get("description", "")) < 10
    ]
    assert silent == []
