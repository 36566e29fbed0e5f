from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.history.plant import PlantSettings

BERLIN = PlantSettings(time_zone="Europe/Berlin")
HOUR_MS = 3_600_000


def test_an_address_says_the_filter_and_gives_it_back() -> None:
    query = GalleryQuery(
        line="line-1",
        verdict="reject",
        label="missing cap & 50 % <b>",
        model="bottles:3",
        since="2026-11-18T06:00",
        reviewed="no",
        external_id="SN 1/2",
        before="1794999000000~cam-1/1/17",
    )
    assert GalleryQuery.of(dict(parse_qsl(query.text))) == query
    assert query.address.startswith("/inspections?line=line-1&")


def test_no_filter_has_the_plain_address() -> None:
    assert GalleryQuery.of({}).address == "/inspections"
    assert not GalleryQuery.of({"before": "x"}).is_filtered


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"verdict": "fine"}, id="a verdict that is none"),
        pytest.param({"reviewed": "maybe"}, id="reviewed, or not"),
        pytest.param({"since": "yesterday"}, id="a time that is none"),
        pytest.param({"until": "0001-01-01T00:00"}, id="a time outside of the calendar"),
        pytest.param({"label": "x" * 5000}, id="a label that is too long"),
        pytest.param({"label": "a\0"}, id="a label that no database takes"),
        pytest.param({"colour": "red"}, id="a word nobody knows"),
    ],
)
def test_what_an_address_says_wrongly_counts_as_not_said(params: dict[str, str]) -> None:
    assert GalleryQuery.of(params) == GalleryQuery()


def test_another_filter_begins_at_its_newest_page() -> None:
    query = GalleryQuery(line="line-1", before="cursor")
    assert query.changed(verdict="pass") == GalleryQuery(line="line-1", verdict="pass")


@pytest.mark.parametrize(
    ("since", "utc_hour"),
    [pytest.param("2026-01-15T06:00", 5, id="winter"), pytest.param("2026-07-15T06:00", 4, id="summer")],
)
def test_times_are_the_plants(since: str, utc_hour: int) -> None:
    since_ms, until_ms = GalleryQuery(since=since).times(BERLIN, 0)
    assert since_ms is not None
    assert since_ms % (24 * HOUR_MS) == utc_hour * HOUR_MS
    assert until_ms is None


def test_given_times_win_over_a_range_and_a_range_that_is_none_is_not_said() -> None:
    assert GalleryQuery(range="last:1h").times(BERLIN, 10 * HOUR_MS - 1) == (9 * HOUR_MS, 10 * HOUR_MS)
    assert GalleryQuery(range="last:1h", until="2026-01-15T06:00").times(BERLIN, 0)[0] is None
    assert GalleryQuery(range="for ever").times(BERLIN, 0) == (None, None)


def test_nobody_asks_for_a_line_that_is_not_theirs() -> None:
    assert GalleryQuery(line="line-2").wanted(["line-1"], BERLIN, 0).lines == []
    assert GalleryQuery(line="line-1").wanted(["line-1", "line-3"], BERLIN, 0).lines == ["line-1"]
    assert GalleryQuery(line="line-2").wanted(None, BERLIN, 0).lines == ["line-2"]
    assert GalleryQuery().wanted(["line-1"], BERLIN, 0).lines == ["line-1"]


def test_only_the_passes_of_the_sample_are_looked_at() -> None:
    assert GalleryQuery().wanted(None, BERLIN, 0).sampled_passes
    assert GalleryQuery(verdict="pass", reviewed="no").wanted(None, BERLIN, 0).reviewed is False
