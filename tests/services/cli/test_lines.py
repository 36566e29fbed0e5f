"""`rayline lines`: a changeover is asked for, waited for, and told by camera."""

import threading
import time

import pytest
from typer.testing import Result

from pipeline.config_errors import ConfigError
from pipeline.orchestrate.state import CameraReport, SystemReport
from tests.services.cli.conftest import Rayline, Site

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _published(site: Site) -> None:
    site.publish()


def report(site: Site, **told: str) -> None:
    cameras = [
        CameraReport(camera="cam-1", line="filling", station="s", state="running", since=0.0, **told),
        CameraReport(camera="cam-2", line="filling", station="s", state="running", since=0.0, recipe="watch"),
    ]
    site.report(SystemReport(at=time.time(), started_at=0.0, cameras=tuple(cameras)))


def words(result: Result) -> str:
    return " ".join(result.output.split())


def test_it_waits_until_each_camera_works_by_the_recipe(rayline: Rayline, site: Site) -> None:
    report(site, recipe="check", recipe_desired="watch")

    def acknowledge() -> None:
        while (change := site.desired().line_change("cam-1")) is None:
            time.sleep(0.02)
        time.sleep(5.5)  # longer than one answer of Redis may take
        report(site, recipe="watch", change_id=change.change_id)

    camera = threading.Thread(target=acknowledge)
    camera.start()
    result = rayline("lines", "recipe", "filling", "watch", "--wait", "60")
    camera.join()
    assert result.exit_code == 0, result.output
    assert "line filling: from check to watch (change " in words(result)
    assert "cam-1: works by watch" in words(result)
    assert "cam-2: keeps its own recipe, watch" in words(result)


def test_a_camera_that_has_not_changed_in_time_is_told_and_the_change_stays(rayline: Rayline, site: Site) -> None:
    report(site, recipe="check", recipe_desired="watch")
    result = rayline("lines", "recipe", "filling", "watch", "--wait", "0.1")
    assert result.exit_code == 1
    assert "cam-1: not yet: it works by 'check' until a gap between parts" in words(result)
    assert site.desired().config.lines["filling"].recipe == "watch"
    assert rayline("lines", "recipe", "filling", "watch", "--wait", "0").exit_code == 0  # nobody waits


def test_reset_goes_back_to_the_files_recipe(rayline: Rayline, site: Site) -> None:
    rayline("lines", "recipe", "filling", "watch")
    result = rayline("lines", "reset", "filling")
    assert result.exit_code == 0, result.output
    assert "from watch to check" in words(result)
    assert "nothing runs now" in words(result)
    assert site.desired().config.lines["filling"].recipe == "check"


def test_a_recipe_that_is_not_there_is_refused(rayline: Rayline) -> None:
    result = rayline("lines", "recipe", "filling", "wach")
    assert isinstance(result.exception, ConfigError)
    assert "did you mean 'watch'?" in str(result.exception)
