"""What is told of a camera in a minute, as the row it becomes."""

from __future__ import annotations

from typing import Any

from pipeline.history.minute_book import HEALTH, MOST_MINUTES, STATES, MinuteBook
from pipeline.ingest.camera_state import CameraState
from pipeline.orchestrate.state import CameraReport, SystemReport
from stages.values import HealthState

MINUTE = 29_916_667
AT = MINUTE * 60.0


def report(at: float, *cameras: CameraReport) -> SystemReport:
    return SystemReport(at=at, started_at=0.0, cameras=cameras)


def camera(name: str = "cam-1", **fields: Any) -> CameraReport:
    return CameraReport.model_validate(
        {"camera": name, "line": "filling", "station": "s", "state": "running", "since": 0.0, **fields}
    )


def dropped(book: MinuteBook) -> list[int]:
    return [row["dropped"] for row in book.unsaved()]


def test_every_state_and_health_there_is_has_its_place() -> None:
    assert set(STATES) == {state.value for state in CameraState}
    assert set(HEALTH) == {health.value for health in HealthState}


def test_a_minute_has_means_the_worst_and_the_largest() -> None:
    book = MinuteBook()
    book.take(report(AT, camera(fps_in=10.0, fps_out=8.0, latency_ms_p50=20.0, latency_ms_p95=80.0)))
    book.take(report(AT + 2, camera(state="reconnecting", health="stale")))
    book.take(report(AT + 4, camera(fps_in=5.0, fps_out=4.0, latency_ms_p50=30.0, latency_ms_p95=60.0)))
    assert book.unsaved() == [
        {
            "camera": "cam-1",
            "minute": MINUTE,
            "line": "filling",
            "state": "reconnecting",
            "health": "stale",
            "fps_in": 5.0,
            "fps_out": 4.0,
            "latency_ms_p50": 25.0,
            "latency_ms_p95": 80.0,
            "dropped": 0,
        }
    ]


def test_a_state_of_a_later_version_is_not_taken_for_a_good_one() -> None:
    book = MinuteBook()
    book.take(report(AT, camera(state="melting")))
    book.take(report(AT + 2, camera(state="failed")))
    assert book.unsaved()[0]["state"] == "melting"


def test_drops_are_what_was_added_whoever_began_anew() -> None:
    book = MinuteBook()
    book.take(report(AT, camera(dropped={"queue_full": 100}, frames_in=500)))
    assert dropped(book) == [0]  # nobody knows since when
    book.take(report(AT + 2, camera(dropped={"queue_full": 103, "behind": 2}, frames_in=520)))
    assert dropped(book) == [5]
    book.take(report(AT + 4, camera(dropped={"queue_full": 4}, frames_in=10)))  # its reader was started again
    assert dropped(book) == [9]
    book.take(report(AT + 6))  # nobody reports it for a while
    book.take(report(AT + 8, camera(dropped={"queue_full": 500}, frames_in=9)))  # again, and more than before
    assert dropped(book) == [509]
    book.take(report(AT + 10, camera(dropped={"queue_full": 500}, frames_in=11), camera("new", dropped={"behind": 3})))
    assert dropped(book) == [509, 3]  # a camera that was not there before began at nothing


def test_a_report_read_twice_counts_once() -> None:
    book = MinuteBook()
    book.take(report(AT, camera(fps_in=10.0)))
    book.saved(book.unsaved())
    book.take(report(AT, camera(fps_in=0.0)))
    assert book.unsaved() == []


def test_what_is_saved_and_over_is_let_go_and_what_changed_is_saved_again() -> None:
    book = MinuteBook()
    book.take(report(AT, camera()))
    book.saved(book.unsaved())
    assert book.unsaved() == []
    book.take(report(AT + 30, camera(state="failed")))
    assert [row["state"] for row in book.unsaved()] == ["failed"]
    book.take(report(AT + 60, camera()))
    assert [row["minute"] for row in book.unsaved()] == [MINUTE, MINUTE + 1]
    book.saved(book.unsaved())
    assert book.minutes() == [MINUTE + 1]


def test_a_minute_goes_on_from_what_another_process_saved_of_it() -> None:
    first, second = MinuteBook(), MinuteBook()
    first.take(report(AT, camera(dropped={"behind": 1})))
    first.take(report(AT + 2, camera(dropped={"behind": 6}, state="failed", latency_ms_p95=90.0)))
    second.take(report(AT + 10, camera(dropped={"behind": 6}, latency_ms_p95=10.0)))
    second.go_on_from(first.unsaved())
    (row,) = second.unsaved()
    assert (row["dropped"], row["state"], row["latency_ms_p95"]) == (5, "failed", 90.0)


def test_it_holds_no_more_than_some_hours_while_nobody_saves() -> None:
    book = MinuteBook()
    for minute in range(MOST_MINUTES + 10):
        book.take(report(AT + 60 * minute, camera()))
    assert len(book.unsaved()) == MOST_MINUTES
    assert book.lost == 10
