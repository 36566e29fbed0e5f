"""The sections `history` and `plant`: what is refused, what is warned of, and where it is kept."""

from pathlib import Path

import pytest

from pipeline.config import config_data, config_of_data
from pipeline.config_checks import review
from pipeline.config_errors import ConfigError
from pipeline.config_findings import Severity
from pipeline.config_machine import Machine
from pipeline.history.database import HistoryMisconfigured, database_url
from pipeline.orchestrate.relay_keeper import held_groups
from tests.unit.config.site import SITE, config_from

POSTGRES = "history: {url: 'postgresql://rayline:pa55-w0rd@db-1/rayline'}\n"
EMBEDDED = "history: {data_dir: kept}\n"
ELSEWHERE = "redis: {url: 'redis://192.0.2.9:6379/0'}\n"


def found(text: str, base: Path) -> dict[str, Severity]:
    (base / "parts.pt").write_bytes(b"weights")
    told = review(config_from(SITE + text, base), Machine(64))
    return {each.problem.text("site.yaml"): each.severity for each in told if "history" in each.problem.text("x")}


def test_without_it_there_is_none_and_the_plant_goes_by_utc() -> None:
    config = config_from(SITE)
    assert config.history is None
    assert config.history_folder() is None
    assert config.plant.time_zone == "UTC"


def test_the_store_gives_back_what_it_was_given_and_no_screen_shows_the_password() -> None:
    config = config_from(
        SITE + POSTGRES + "plant: {time_zone: Europe/Berlin, run_rules: western-electric, "
        "shifts: [{name: early, start: '06:00', end: '14:00'}]}\n"
    )
    assert config_of_data(config_data(config)) == config
    assert "pa55-w0rd" not in repr(config)
    assert (config.plant.shifts[0].end, config.plant.run_rules) == ("14:00", "western-electric")


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        pytest.param(POSTGRES.replace("postgresql", "mysql"), "history.url", "postgresql://", id="another database"),
        pytest.param(POSTGRES.replace("/rayline'", "'"), "history.url", "postgresql://", id="no database named"),
        pytest.param("history: {retention_day: 3}\n", "history.retention_day", "retention_days", id="a typo"),
        pytest.param("plant: {time_zone: Berlin}\n", "plant.time_zone", "Europe/Berlin", id="no time zone"),
        pytest.param("plant: {run_rules: nelson-1-5}\n", "plant.run_rules", "nelson-1-4", id="no set of rules"),
        pytest.param("plant: {shifts: [{name: a, start: '6', end: '7'}]}\n", "shifts", "06:00", id="no time"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(text: str, where: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_from(SITE + text)
    assert where in str(refused.value)
    assert told in str(refused.value)
    assert "pa55-w0rd" not in str(refused.value)


def test_it_is_kept_where_it_is_told_else_beside_the_embedded_redis() -> None:
    assert config_from(SITE + EMBEDDED).history_folder() == Path("/site/kept")
    assert config_from(SITE + "history: {}\nredis: {data_dir: r}\n").history_folder() == Path("/site/r/history")
    assert config_from(SITE + "history: {}\n").history_folder() is None
    assert config_from(SITE + POSTGRES).history_folder() is None


@pytest.mark.parametrize(
    ("text", "told", "severity"),
    [
        pytest.param("history: {}\n" + ELSEWHERE, "has no folder", Severity.ERROR, id="no place"),
        pytest.param("history: {}\n", "ends with `rayline up`", Severity.WARNING, id="kept nowhere"),
        pytest.param(
            "history: {data_dir: kept, password_file: parts.pt}\n", "does nothing", Severity.ERROR, id="no password"
        ),
        pytest.param(POSTGRES.replace("}", ", data_dir: x}"), "does nothing", Severity.WARNING, id="no folder"),
        pytest.param("history: {data_dir: parts.pt}\n", "is no folder", Severity.ERROR, id="a file"),
        pytest.param(POSTGRES.replace("}", ", password_file: x}"), "cannot be read", Severity.ERROR, id="no file"),
    ],
)
def test_what_would_do_nothing_or_not_well_is_found(tmp_path: Path, text: str, told: str, severity: Severity) -> None:
    ((text, its),) = found(text, tmp_path).items()
    assert told in text
    assert its is severity or "does nothing" in told


def test_a_history_that_is_as_it_should_be_is_not_spoken_of(tmp_path: Path) -> None:
    assert not found(EMBEDDED + ELSEWHERE, tmp_path)
    assert not found(POSTGRES + ELSEWHERE, tmp_path)


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr/et@\n")
    text = "history: {url: 'postgresql://rayline@db-1:5433/rayline', password_file: secret}\n"
    history = config_from(SITE + text, tmp_path).history
    assert history is not None
    assert database_url(history) == "postgresql+psycopg://rayline:s3cr%2Fet%40@db-1:5433/rayline"
    (tmp_path / "secret").unlink()
    with pytest.raises(HistoryMisconfigured, match="secret: No such file"):
        database_url(history)


def test_what_it_holds_in_redis_is_let_go_when_it_leaves_the_configuration() -> None:
    relay = "relays: {disk: {kind: jsonl, folder: r}}\n"
    assert held_groups(config_from(SITE + EMBEDDED + relay)) == {"history", "relay-disk"}
    assert held_groups(config_from(SITE)) == set()
