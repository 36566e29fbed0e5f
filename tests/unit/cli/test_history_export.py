"""`rayline history export`: what is kept, as files."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from pipeline import cli
from pipeline.history.database import HistoryUnavailable
from pipeline.history.reviews import Said, review
from tests.unit.history.parts import history, put, row


@pytest.fixture
def site(tmp_path: Path) -> Path:
    with history(tmp_path) as database:
        put(database, row(1, "pass"), row(2), row(3, line="l2", camera="c"))
        with database.write() as connection:
            review(connection, "a/1/2", Said.REJECT, lines=None, by="anna", at_ms=1)
    path = tmp_path / "site.yaml"
    path.write_text("history: {data_dir: .}\nplant: {time_zone: Europe/Berlin}\n")
    return path


def export(site: Path, form: str, to: Path | str, *more: str) -> Result:
    return CliRunner().invoke(cli.app, ["history", "export", str(site), "--format", form, "--out", str(to), *more])


def test_a_table_holds_what_was_asked_for(site: Path, tmp_path: Path) -> None:
    assert export(site, "csv", tmp_path / "parts.csv", "--line", "l1").exit_code == 0
    with (tmp_path / "parts.csv").open(newline="") as file:
        assert [one["inspection_id"] for one in csv.DictReader(file)] == ["a/1/2", "a/1/1"]
    assert export(site, "parquet", tmp_path / "parts.parquet", "--verdict", "reject").exit_code == 0
    assert pq.read_table(tmp_path / "parts.parquet")["inspection_id"].to_pylist() == ["c/1/3", "a/1/2"]
    assert not list(tmp_path.glob("*.part"))


def test_times_are_the_plants(site: Path) -> None:
    told = export(site, "csv", "-", "--since", "2027-01-15T09:00:02", "--until", "2027-01-15T08:00:03+00:00").stdout
    assert [line.split(",")[0] for line in told.splitlines()[1:]] == ["a/1/2"]


def test_a_data_set_tells_what_is_not_in_it(site: Path, tmp_path: Path) -> None:
    done = export(site, "yolo", tmp_path / "set")
    assert (done.exit_code, "1 reviewed parts are not in it" in done.stdout.replace("\n", " ")) == (0, True)
    assert (tmp_path / "set" / "data.yaml").exists()


def test_where_no_history_is_it_says_so_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("history: {data_dir: none-yet}\n")
    assert isinstance(export(path, "csv", "-").exception, HistoryUnavailable)
    path.write_text("{}")
    assert export(path, "csv", "-").exit_code == 2
    assert [one.name for one in tmp_path.iterdir()] == ["site.yaml"]


def test_a_table_that_cannot_be_written_is_told(site: Path, tmp_path: Path) -> None:
    assert export(site, "csv", tmp_path / "nowhere" / "parts.csv").exit_code == 2
    assert export(site, "parquet", "-").exit_code == 2
