"""`status` reads Redis alone, and tells a Rayline that stopped from one that runs."""

import json
import time

import pytest

from pipeline.orchestrate.line_count import CountStore, LineCount
from pipeline.orchestrate.state import CameraReport, ShardReport, SystemReport
from tests.services.cli.conftest import Rayline, Site
from tests.unit.config.site import SITE

pytestmark = pytest.mark.services


def report(**changes: object) -> SystemReport:
    now = time.time()
    camera = CameraReport(camera="cam-1", line="filling", station="cam-1", state="running", since=now, fps_in=15.0)
    told = {"at": now, "started_at": now, "desired_version": 1, "cameras": (camera,)}
    return SystemReport.model_validate({**told, "shards": (ShardReport(shard="s", state="running"),), **changes})


def test_a_running_system_is_shown(rayline: Rayline, site: Site) -> None:
    site.publish()
    site.report(report())
    result = rayline("status", "--once")
    assert result.exit_code == 0
    assert "running" in result.stdout
    assert "gate" in result.stdout


def test_for_programs_the_whole_report_comes_back(rayline: Rayline, site: Site) -> None:
    site.publish()
    written = report()
    site.report(written)
    told = json.loads(rayline("status", "--json").stdout)
    assert told["running"] is True
    assert SystemReport.model_validate(told["report"]) == written


def test_what_a_part_counter_counted_is_shown_and_told_to_programs(rayline: Rayline, site: Site) -> None:
    site.publish(SITE.replace("{recipe: check}", "{recipe: check, part_counter: {stream: plc}}"))
    site.report(report())
    count = LineCount(line="filling", counter="stream plc", camera="cam-1", since=time.time(), counted=9, inspected=7)
    site._run(lambda client: CountStore(client).write(count))
    assert "line filling: counted 9, inspected 7, difference 2 in" in rayline("status", "--once").stdout
    (told,) = json.loads(rayline("status", "--json").stdout)["counts"]
    assert (told["line"], told["counted"], told["inspected"], told["difference"]) == ("filling", 9, 7, 2)
    assert site.stored("rayline:{filling}:count")[b"difference"] == b"2"


def test_where_nothing_runs_it_ends_with_1_and_says_what_to_do(rayline: Rayline, site: Site) -> None:
    result = rayline("status", "--once")
    assert result.exit_code == 1
    assert "rayline up" in result.output
    site.publish()
    stopped = rayline("status", "--json")
    assert stopped.exit_code == 1
    told = {"running": False, "desired_version": 1, "removed": [], "report": None, "counts": []}
    assert json.loads(stopped.stdout) == told


def test_reports_run_out(site: Site) -> None:
    from redis import Redis

    site.report(report())
    with Redis.from_url(site.url) as client:
        lives = [client.ttl(key) for key in client.keys("rayline:state:*")]
    assert len(lives) == 3
    assert all(0 < left <= 10 for left in lives)


def test_a_report_taken_back_is_gone_at_once(rayline: Rayline, site: Site) -> None:
    from pipeline.orchestrate.state import StateStore

    site.report(report())
    site._run(lambda client: StateStore(client).clear())
    assert rayline("status", "--once").exit_code == 1
