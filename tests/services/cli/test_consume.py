"""`consume` shows what is in the streams, to people and to programs."""

import json
from pathlib import Path

import orjson
import pytest

from tests.services.cli.conftest import Rayline, Site
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(name: str, **changes: object) -> bytes:
    return orjson.dumps({**orjson.loads((GOLDEN / f"{name}-1.0.json").read_bytes()), **changes})


@pytest.fixture
def _filled(site: Site) -> None:
    for seq in range(3):
        site.append("rayline:{filling}:detections:cam-1", golden("detection", camera="cam-1", seq=seq))
    site.append("rayline:{filling}:detections:cam-2", golden("detection", camera="cam-2", seq=9))
    site.append("rayline:{filling}:events:cam-1", golden("event", camera="cam-1"))
    site.append("rayline:{filling}:inspections", golden("inspection", camera="cam-1"))
    site.append("rayline:{filling}:inspections", golden("uninspected", camera="cam-2"))


@pytest.mark.usefixtures("_filled")
@pytest.mark.parametrize(
    ("arguments", "cameras"),
    [
        (("detections", "--count", "4"), ["cam-1", "cam-1", "cam-1", "cam-2"]),
        (("detections", "--camera", "cam-2", "--count", "1"), ["cam-2"]),
        (("detections", "--line", "filling", "--count", "2"), ["cam-1", "cam-1"]),
        (("events", "--count", "1"), ["cam-1"]),
        (("inspections", "--count", "2"), ["cam-1", "cam-2"]),
        (("inspections", "--camera", "cam-2", "--count", "1"), ["cam-2"]),
        (("detections", "--from", "5m", "--count", "4"), ["cam-1", "cam-1", "cam-1", "cam-2"]),
    ],
)
def test_messages_come_as_they_were_published(rayline: Rayline, arguments: tuple[str, ...], cameras: list[str]) -> None:
    begin = () if "--from" in arguments else ("--from", "start")
    result = rayline("consume", *arguments, *begin, "--json", "--timeout", "60")
    assert result.exit_code == 0, result.output
    assert sorted(json.loads(line)["camera"] for line in result.stdout.splitlines()) == cameras


@pytest.mark.usefixtures("_filled")
@pytest.mark.parametrize(
    ("stream", "told"),
    [
        ("detections", "cam-1  seq 0"),
        ("events", "cam-1"),
        ("inspections", "UNINSPECTED"),
    ],
)
def test_people_get_a_line_each(rayline: Rayline, stream: str, told: str) -> None:
    count = {"detections": "4", "events": "1", "inspections": "2"}[stream]
    result = rayline("consume", stream, "--from", "start", "--count", count, "--timeout", "60")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == int(count)
    assert told in result.stdout


def test_what_came_before_now_is_left_out_and_waiting_ends(rayline: Rayline, site: Site, stopwatch: Stopwatch) -> None:
    site.append("rayline:{filling}:events:cam-1", golden("event"))
    stopwatch.restart()
    result = rayline("consume", "events", "--timeout", "0.3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert stopwatch.seconds < 5


def test_too_few_end_with_1(rayline: Rayline, site: Site) -> None:
    site.append("rayline:{filling}:events:cam-1", golden("event"))
    result = rayline("consume", "events", "--from", "start", "--count", "2", "--timeout", "3")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1


def test_what_is_no_message_is_told_and_passed_over(rayline: Rayline, site: Site) -> None:
    site.append("rayline:{filling}:events:cam-1", b"not json")
    site.append("rayline:{filling}:events:cam-1", golden("event"))
    result = rayline("consume", "events", "--from", "start", "--count", "2", "--timeout", "60")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("?")


@pytest.mark.usefixtures("_filled")
def test_a_group_goes_on_where_it_was(rayline: Rayline, site: Site) -> None:
    command = ("consume", "inspections", "--group", "erp", "--from", "start", "--json", "--timeout")
    first = rayline(*command, "60", "--count", "1")
    second = rayline(*command, "60", "--count", "1")
    third = rayline(*command, "0.3")
    assert (first.exit_code, second.exit_code, third.exit_code) == (0, 0, 1)
    assert [json.loads(each.stdout)["camera"] for each in (first, second)] == ["cam-1", "cam-2"]
    assert third.stdout == ""


@pytest.mark.usefixtures("_filled")
def test_a_group_is_told_what_was_trimmed_before_it_read_it(rayline: Rayline, site: Site) -> None:
    command = ("consume", "detections", "--camera", "cam-1", "--group", "erp", "--from", "start", "--timeout", "60")
    assert rayline(*command, "--count", "1").exit_code == 0
    site.trim("rayline:{filling}:detections:cam-1", 1)
    result = rayline(*command, "--count", "1")
    assert result.exit_code == 0
    assert "were trimmed unread" in result.stderr
    assert "seq 2" in result.stdout


def test_a_group_name_that_is_none_is_refused(rayline: Rayline) -> None:
    result = rayline("consume", "--group", "a b")
    assert result.exit_code == 2
    assert "cannot be a group name" in result.output
