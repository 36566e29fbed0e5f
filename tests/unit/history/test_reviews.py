"""Reviews: kept as they were said, the newest holds; rates out of those parts that say something of the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.history import reviews
from pipeline.history.database import Database
from pipeline.history.reviews import ReviewRefused, Said, UnknownPart, overrules, rates, review
from tests.unit.history.parts import START_MS, history, put, row

PICTURE = {"uri": "file:///x.jpg", "sha256": "0" * 64}
EVER = (0, 2**52)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


def say(database: Database, inspection_id: str, said: Said, **more: object) -> None:
    given = {"lines": None, "by": "anna", "at_ms": 1, "reason": "I looked"} | more
    with database.write() as connection:
        review(connection, inspection_id, said, **given)  # type: ignore[arg-type]


def test_nothing_is_overwritten_and_the_newest_holds(database: Database) -> None:
    put(database, row(1))
    say(database, "a/1/1", Said.PASS, at_ms=10)
    say(database, "a/1/1", Said.REJECT, at_ms=5, by="bert", labels=["dent", "dent "])
    with database.read() as connection:
        [kept] = [reviews.reviews_of(connection, ["a/1/1", "a/1/2"])["a/1/1"]]
    assert [(one.by, one.said, one.labels) for one in kept] == [
        ("bert", Said.REJECT, ("dent",)),
        ("anna", Said.PASS, ()),
    ]


@pytest.mark.parametrize(
    ("verdict", "said", "over"),
    [
        ("reject", Said.PASS, True),
        ("reject", Said.REJECT, False),
        ("pass", Said.REJECT, True),
        ("indeterminate", Said.PASS, False),
        ("indeterminate", Said.REJECT, False),
    ],
)
def test_only_a_verdict_can_be_overruled_and_that_needs_a_reason(
    database: Database, verdict: str, said: Said, over: bool
) -> None:
    put(database, row(1, verdict))
    assert overrules(verdict, said) is over
    if over:
        with pytest.raises(ReviewRefused, match="reason"):
            say(database, "a/1/1", said, reason="  ")
    else:
        say(database, "a/1/1", said, reason="")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"labels": ["dent"]}, id="a good part with a defect"),
        pytest.param({"reason": "x" * 1001}, id="a long reason"),
        pytest.param({"reason": "a\0"}, id="a reason that no database takes"),
        pytest.param({"said": Said.REJECT, "labels": ["a\0"]}, id="a label that no database takes"),
        pytest.param({"said": Said.REJECT, "labels": [""]}, id="an empty label"),
        pytest.param({"said": Said.REJECT, "labels": ["x" * 201]}, id="a long label"),
        pytest.param({"said": Said.REJECT, "labels": [str(n) for n in range(33)]}, id="many labels"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(database: Database, more: dict[str, object]) -> None:
    put(database, row(1))
    with pytest.raises(ReviewRefused):
        say(database, "a/1/1", more.pop("said", Said.PASS), **more)  # type: ignore[arg-type]


def test_parts_of_other_lines_are_not_there(database: Database) -> None:
    put(database, row(1, line="l1"))
    with pytest.raises(UnknownPart):
        say(database, "a/1/1", Said.REJECT, lines={"l2"})
    with pytest.raises(UnknownPart):
        say(database, "a/1/2", Said.REJECT)


def test_a_part_is_not_known_by_what_not_every_database_takes(database: Database) -> None:
    put(database, row(1, id="a\0"))  # SQLite does
    with pytest.raises(UnknownPart):
        say(database, "a\0", Said.REJECT)


def test_a_name_is_kept_as_far_as_every_database_takes_it(database: Database) -> None:
    put(database, row(1))
    say(database, "a/1/1", Said.REJECT, by="an\0na" + "x" * 300)
    with database.read() as connection:
        [said] = reviews.reviews_of(connection, ["a/1/1"])["a/1/1"]
    assert said.by == ("anna" + "x" * 300)[:200]


def test_a_part_takes_so_many_reviews(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "MOST_A_PART", 2)
    put(database, row(1))
    say(database, "a/1/1", Said.REJECT)
    say(database, "a/1/1", Said.PASS)
    with pytest.raises(ReviewRefused, match="at most 2"):
        say(database, "a/1/1", Said.REJECT)


def test_false_rejects_come_from_reviewed_rejects_and_escapes_from_the_sample_alone(database: Database) -> None:
    put(
        database,
        *(row(n, "reject") for n in range(4)),
        *(row(n, "pass", snapshot=PICTURE) for n in range(10, 13)),
        row(20, "pass"),
        row(21, "indeterminate"),
        row(22, "reject", line="l2", camera="b"),
    )
    for number, said in ((0, Said.PASS), (1, Said.REJECT), (2, Said.REJECT), (10, Said.PASS), (11, Said.REJECT)):
        say(database, f"a/1/{number}", said)
    for inspection_id in ("a/1/20", "a/1/21", "b/1/22"):  # no sample, no verdict, another line
        say(database, inspection_id, Said.REJECT)
    with database.read() as connection:
        told = rates(connection, "l1", *EVER)
        only_first = rates(connection, "l1", START_MS, START_MS + 1000)
    assert (told.false_reject.count, told.false_reject.n) == (1, 3)
    assert (told.escape.count, told.escape.n) == (1, 2)
    assert (only_first.false_reject.count, only_first.false_reject.n, only_first.escape.share) == (1, 1, None)


def test_who_thinks_better_of_it_is_counted_once(database: Database) -> None:
    put(database, row(1))
    for said in (Said.PASS, Said.REJECT, Said.PASS):
        say(database, "a/1/1", said)
    with database.read() as connection:
        told = rates(connection, "l1", *EVER).false_reject
    assert (told.count, told.n, told.share) == (1, 1, 1.0)
    assert told.low == pytest.approx(0.2065, abs=5e-5)  # 1 of 1
