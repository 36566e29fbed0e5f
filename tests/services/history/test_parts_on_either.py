"""Pages and reviews are the same in either database, whatever its language sorts by."""

import pytest
from sqlalchemy import insert

from pipeline.history.choices import choices
from pipeline.history.database import Database
from pipeline.history.gallery import PartFilter, page
from pipeline.history.lines import lines_in
from pipeline.history.reviews import Said, rates, review
from pipeline.history.tables import part_minutes
from tests.unit.history.parts import START_MS, put, row

pytestmark = pytest.mark.services

NAMES = ("a/1/1", "A/1/1", "a-1", "a_1", "ä/1", "a/1/10", "a/1/2", "B", "b")


@pytest.mark.parametrize("wanted", [{}, {"camera": "a"}, {"labels": ("no_cap",)}, {"verdicts": ("reject",)}])
def test_parts_of_one_moment_are_paged_without_gap_or_repeat(either: Database, wanted: dict[str, object]) -> None:
    put(either, *(row(n, id=name, captured_ms=START_MS, line=f"l{n % 2}") for n, name in enumerate(NAMES)))
    found: list[str] = []
    before: str | None = None
    with either.read() as connection:
        while True:
            one = page(connection, PartFilter(None, **wanted), before, limit=2)  # type: ignore[arg-type]
            found += [part.id for part in one.parts]
            if (before := one.next) is None:
                break
        assert lines_in(connection) == ["l0", "l1"]
    assert found == sorted(NAMES, reverse=True)


def test_reviews_are_kept_and_counted(either: Database) -> None:
    put(either, row(1), row(2), row(3, "pass", snapshot={"uri": "file:///x", "sha256": "0" * 64}))
    with either.write() as connection:
        for inspection_id in ("a/1/1", "a/1/3"):
            review(connection, inspection_id, Said.PASS, lines={"l1"}, by="anna", at_ms=1, reason="seen")
        told = rates(connection, "l1", 0, 2**52)
        unseen = page(connection, PartFilter(None, reviewed=False))
        seen = page(connection, PartFilter({"l1"}, reviewed=True, sampled_passes=True))
    assert ((told.false_reject.count, told.false_reject.n), (told.escape.count, told.escape.n)) == ((1, 1), (0, 1))
    assert ([part.id for part in unseen.parts], len(seen.parts)) == (["a/1/2"], 2)


def test_what_filters_choose_from_is_in_one_order(either: Database) -> None:
    shared = {"minute": START_MS // 60_000, "camera": "a", "model": "m:1", "counts": True, "verdict": "pass"}
    rows = [{**shared, "line": f"l{n % 2}", "recipe": name, "parts": 1, "defects": 0} for n, name in enumerate(NAMES)]
    with either.write() as connection:
        connection.execute(insert(part_minutes), rows)
        of_all, of_one = choices(connection, None, START_MS), choices(connection, ["l1"], START_MS)
    assert (of_all.recipes, of_all.models, of_all.labels) == (tuple(sorted(NAMES)), ("m:1",), ())
    assert of_one.recipes == tuple(sorted(NAMES[1::2]))
