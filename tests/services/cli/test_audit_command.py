"""`rayline audit` shows who changed what."""

import getpass
import json

import pytest

from tests.services.cli.conftest import Rayline, Site

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _published(site: Site) -> None:
    site.publish()


def test_a_command_is_told_with_the_user_who_ran_it(rayline: Rayline) -> None:
    rayline("cameras", "set", "cam-1", "fps=5")
    newest, *_ = [json.loads(line) for line in rayline("audit", "--json").stdout.splitlines()]
    assert (newest["by"]["name"], newest["by"]["kind"]) == (getpass.getuser(), "cli")
    assert (newest["action"], newest["target"]) == ("camera.set", "cam-1")
    told = " ".join(rayline("audit", "--limit", "1").stdout.split())
    assert "camera.set" in told
    assert "15.0 -> 5" in told or "15 -> 5" in told


def test_passwords_are_not_shown(rayline: Rayline) -> None:
    rayline("cameras", "add", "extra", "rtsp://u:hush-hush@192.0.2.9/x", "--recipe", "watch")
    rayline("cameras", "remove", "extra")
    assert "hush-hush" not in rayline("audit").output + rayline("audit", "--json").output
