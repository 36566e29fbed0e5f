"""Pages of judged parts: newest first, without gap or repeat, and never of a line that is not one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.history import gallery
from pipeline.history.database import Database
from pipeline.history.gallery import BadCursor, PartFilter, page, part
from pipeline.history.lines import lines_in
from pipeline.history.reviews import Said, review
from tests.unit.history.parts import START_MS, history, put, row


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


def ids(database: Database, wanted: PartFilter, limit: int = 50) -> list[str]:
    """Of all pages together."""
    found: list[str] = []
    before: str | None = None
    with database.read() as connection:
        while True:
            one = page(connection, wanted, before, limit)
            assert len(one.parts) <= limit
            found += [each.id for each in one.parts]
            if (before := one.next) is None:
                return found


def test_pages_hold_each_part_once_newest_first_also_those_of_the_same_moment(database: Database) -> None:
    put(database, *(row(n, captured_ms=START_MS + n // 4, line=f"l{n % 2}", camera=f"c{n % 3}") for n in range(40)))
    found = ids(database, PartFilter(None), limit=3)
    with database.read() as connection:
        times = [one.captured_ms for one in page(connection, PartFilter(None), limit=50).parts]
    assert (len(found), len(set(found))) == (40, 40)
    assert times == sorted(times, reverse=True)


def test_only_the_lines_that_are_said_are_in_it(database: Database) -> None:
    put(database, row(1, line="l1"), row(2, line="l2", camera="b"))
    assert ids(database, PartFilter({"l2"})) == ["b/1/2"]
    assert ids(database, PartFilter(frozenset())) == []
    assert ids(database, PartFilter({"l1"}, external_id="s-1")) == []
    with database.read() as connection:
        assert part(connection, "b/1/2", {"l1"}) is None
        assert part(connection, "b/1/2", None) is not None
        assert lines_in(connection) == ["l1", "l2"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({"verdicts": ("reject", "indeterminate")}, [5, 4, 1], id="verdicts"),
        pytest.param({"sampled_passes": True}, [5, 4, 3, 1], id="passes of the sample only"),
        pytest.param({"verdicts": ("pass",), "sampled_passes": True}, [3], id="the sample alone"),
        pytest.param({"labels": ("scratch", "no_cap")}, [4, 1], id="labels, each part once"),
        pytest.param({"labels": ("scratch",), "verdicts": ("indeterminate",)}, [], id="a label and another verdict"),
        pytest.param({"model": "bottles:4"}, [5], id="model"),
        pytest.param({"recipe": "large"}, [4], id="recipe"),
        pytest.param({"camera": "b"}, [2], id="camera"),
        pytest.param({"external_id": "s-3"}, [3], id="serial number"),
        pytest.param({"external_id": "s-3", "verdicts": ("reject",)}, [], id="serial number and another verdict"),
        pytest.param({"since_ms": START_MS + 2000, "until_ms": START_MS + 4000}, [3, 2], id="half-open times"),
        pytest.param({"reviewed": True}, [1], id="reviewed"),
        pytest.param({"reviewed": True, "verdicts": ("pass",)}, [], id="reviewed of another verdict"),
        pytest.param({"reviewed": False, "verdicts": ("reject",)}, [4], id="not yet reviewed"),
    ],
)
def test_filters_hold_together(database: Database, wanted: dict[str, object], found: list[int]) -> None:
    picture = {"uri": "file:///x.jpg", "sha256": "0" * 64}
    put(
        database,
        row(1, "reject"),
        row(2, "pass", camera="b"),
        row(3, "pass", snapshot=picture, external_id="s-3"),
        row(4, "reject", labels=["scratch", "no_cap"], recipe="large"),
        row(5, "indeterminate", model="bottles:4"),
    )
    with database.write() as connection:
        for _ in range(2):
            review(connection, "a/1/1", Said.REJECT, lines=None, by="anna", at_ms=1)
    assert [int(one.rsplit("/", 1)[1]) for one in ids(database, PartFilter({"l1"}, **wanted))] == found  # type: ignore[arg-type]


def test_what_is_rare_is_found_in_bounded_steps(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "SCANNED", 7)
    put(database, *(row(n, model="rare:1" if n in (2, 17) else "m:1", line=f"l{n % 2}") for n in range(30)))
    with database.read() as connection:
        first = page(connection, PartFilter(None, model="rare:1"))
    assert ([one.id for one in first.parts], first.reached_ms) == (["a/1/17"], START_MS + 17_000)
    assert ids(database, PartFilter(None, model="rare:1"), limit=1) == ["a/1/17", "a/1/2"]


def test_the_parts_of_a_camera_are_found_however_many_others_there_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "SCANNED", 7)
    put(database, *(row(n, camera="rare" if n in (2, 17) else "a", line=f"l{n % 2}") for n in range(30)))
    with database.read() as connection:
        found = page(connection, PartFilter(None, camera="rare"))
        of_one_line = page(connection, PartFilter(["l0", "l7"], camera="rare"))
    assert [one.id for one in found.parts] == ["rare/1/17", "rare/1/2"]
    assert [one.id for one in of_one_line.parts] == ["rare/1/2"]


def test_a_part_comes_with_its_message_and_what_was_said_of_it(database: Database) -> None:
    put(database, row(1))
    with database.write() as connection:
        review(connection, "a/1/1", Said.REJECT, lines=None, by="anna", at_ms=1)
        review(connection, "a/1/1", Said.PASS, lines=None, by="bert", at_ms=2, reason="a reflection")
        found = part(connection, "a/1/1", None)
    assert found is not None
    assert found.message.defects[0].label == "no_cap"
    assert [said.by for said in found.reviews] == ["bert", "anna"]
    assert found.review == found.reviews[0]


def test_no_part_has_an_id_that_not_every_database_takes(database: Database) -> None:
    put(database, row(1, id="a\0"))  # SQLite does
    with database.read() as connection:
        assert part(connection, "a\0", None) is None


@pytest.mark.parametrize("cursor", ["", "x", "-", "12", "12-", "\u0663-a", "9" * 16 + "-a"])
def test_a_cursor_of_ones_own_is_refused(database: Database, cursor: str) -> None:
    with database.read() as connection, pytest.raises(BadCursor):
        page(connection, PartFilter(None), cursor)
