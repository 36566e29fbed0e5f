"""Cameras are added, changed, paused and removed in Redis, and the file's word comes back by `reset`."""

import json

import pytest

from pipeline.config_errors import ConfigError
from pipeline.orchestrate.desired_store import DesiredError
from pipeline.sinks.errors import SinkUnavailable
from tests.services.cli.conftest import Rayline, Site
from tests.unit.config.site import SITE

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _published(site: Site) -> None:
    site.publish()


def listed(rayline: Rayline) -> dict[str, dict[str, str]]:
    result = rayline("cameras", "list", "--json")
    assert result.exit_code == 0, result.output
    return {row["camera"]: row for row in json.loads(result.stdout)["cameras"]}


def test_the_files_cameras_are_listed_without_their_passwords(rayline: Rayline) -> None:
    assert listed(rayline)["cam-1"] == {
        "camera": "cam-1",
        "line": "filling",
        "station": "cam-1",
        "recipe": "check",
        "url": "rtsp://viewer:***@192.0.2.1/a",
        "override": None,
        "problem": None,
    }
    assert "hush-hush" not in rayline("cameras", "list").output


def test_a_camera_is_added(rayline: Rayline, site: Site) -> None:
    url = "rtsp://u:hush-hush@192.0.2.9/x"
    result = rayline("cameras", "add", "extra", url, "fps=5", "transport=udp", "--line", "filling")
    assert result.exit_code == 0, result.output
    assert "hush-hush" not in result.output
    camera = site.desired().config.camera("extra")
    assert (camera.settings.fps, camera.settings.transport, camera.line, camera.recipe_name) == (
        5,
        "udp",
        "filling",
        "check",
    )
    assert camera.settings.url.get_secret_value() == url
    assert listed(rayline)["extra"]["override"] == "added"


def test_an_added_camera_that_is_removed_is_forgotten(rayline: Rayline) -> None:
    before = listed(rayline)
    rayline("cameras", "add", "extra", "rtsp://h/x", "--recipe", "watch")
    assert rayline("cameras", "remove", "extra").exit_code == 0
    assert listed(rayline) == before


def test_a_camera_of_the_file_stays_away_until_reset(rayline: Rayline, site: Site) -> None:
    assert rayline("cameras", "remove", "gate").exit_code == 0
    assert "gate" not in site.desired().config.cameras
    assert listed(rayline)["gate"]["override"] == "removed"
    assert rayline("cameras", "reset", "gate").exit_code == 0
    assert "gate" in site.desired().config.cameras
    assert listed(rayline)["gate"]["override"] is None


def test_pause_and_resume(rayline: Rayline, site: Site) -> None:
    assert rayline("cameras", "pause", "gate").exit_code == 0
    assert site.desired().is_paused("gate")
    assert listed(rayline)["gate"]["override"] == "paused"
    assert rayline("cameras", "resume", "gate").exit_code == 0
    assert site.desired().overrides == {}


def test_a_paused_camera_keeps_its_other_changes(rayline: Rayline, site: Site) -> None:
    rayline("cameras", "set", "gate", "fps=5")
    rayline("cameras", "pause", "gate")
    rayline("cameras", "set", "gate", "threads=2")
    rayline("cameras", "resume", "gate")
    gate = site.desired().config.cameras["gate"]
    assert (gate.fps, gate.threads) == (5, 2)


def test_an_override_outlives_another_start_with_the_same_file(rayline: Rayline, site: Site) -> None:
    rayline("cameras", "set", "cam-1", "fps=5")
    site.publish()
    assert site.desired().config.cameras["cam-1"].fps == 5


def test_an_override_that_another_file_leaves_without_ground_is_told(rayline: Rayline, site: Site) -> None:
    rayline("cameras", "set", "gate", "recipe=check")
    site.publish(SITE.replace("check", "verify"))
    assert "there is no recipe 'check'" in listed(rayline)["gate"]["problem"]
    assert site.desired().config.camera("gate").recipe_name == "watch"


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("add", "gate", "rtsp://h/x"), DesiredError, "is there already"),
        (("add", "extra", "rstp://h/x", "--recipe", "watch"), ConfigError, "unknown scheme"),
        (("add", "extra", "rtsp://h/x", "--recipe", "wach"), ConfigError, "did you mean 'watch'"),
        (("add", "extra", "rtsp://h/x"), ConfigError, "names no recipe"),
        (("add", "Extra 1", "rtsp://h/x"), DesiredError, "for example 'extra-1'"),
        (("set", "gate", "fps=-1"), ConfigError, "greater than 0"),
        (("set", "gate", "fbs=1"), ConfigError, "unknown setting"),
        (("pause", "gat"), DesiredError, "did you mean 'gate'"),
        (("remove", "nothing"), DesiredError, "there are: cam-1, cam-2, gate"),
        (("reset", "gate"), DesiredError, "nothing to reset"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    rayline: Rayline, site: Site, arguments: tuple[str, ...], error: type[Exception], told: str
) -> None:
    before = site.stored("rayline:desired")
    result = rayline("cameras", *arguments)
    assert result.exit_code != 0
    if result.exit_code == 1:
        assert isinstance(result.exception, error)
    assert told in f"{result.exception}{result.output}"
    assert site.stored("rayline:desired") == before


def test_each_change_is_a_new_version(rayline: Rayline, site: Site) -> None:
    first = site.desired().version
    rayline("cameras", "pause", "gate")
    rayline("cameras", "resume", "gate")
    assert site.desired().version == first + 2


def test_where_nothing_was_started_it_says_so(rayline: Rayline, site: Site) -> None:
    site.clear()
    result = rayline("cameras", "list")
    assert isinstance(result.exception, DesiredError)
    assert "rayline up" in str(result.exception)


def test_a_redis_that_is_not_there_is_told_in_time(rayline: Rayline) -> None:
    result = rayline("cameras", "list", "--redis", "redis://:hush-hush@127.0.0.1:1/0")
    assert isinstance(result.exception, SinkUnavailable)
    assert "127.0.0.1:1" in str(result.exception)
    assert "hush-hush" not in str(result.exception)
