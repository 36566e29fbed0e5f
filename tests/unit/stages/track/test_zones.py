"""Lines count each crossing once; zones notice who comes and goes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.track.tracker import Tracker, TrackSettings
from stages.track.zones import LineSettings, Zones, ZoneSettings, ZonesSettings
from stages.values import CameraId, Event, Position
from tests.unit.stages.track.paths import belt, detections, tracks

SIZE = (640, 360)
UPWARDS = LineSettings(name="gate", start=(0.5, 1.0), end=(0.5, 0.0))  # looking up: left to right is "in"
MIDDLE = ZoneSettings(name="middle", polygon=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))

Point = tuple[float, float]


def zones(*lines: LineSettings, areas: Sequence[ZoneSettings] = (), **values: Any) -> Zones:
    return Zones(ZonesSettings(lines=lines, zones=tuple(areas), **values), CameraId("cam"), ["bottle", "hand"])


def walk(
    subject: Zones, path: Sequence[Point | None], track_id: int = 1, class_id: int = 0, start: int = 0
) -> list[Event]:
    """Events of one object walking the path, ten frames a second; None: not seen."""
    events: list[Event] = []
    for n, point in enumerate(path, start=start):
        seen = tracks([track_id], [point], class_id) if point else tracks([], [])
        events += subject.update(seen, SIZE, Position("file:x", 0, n), at=n / 10)
    return events


def across(x: Sequence[float], y: float = 180) -> list[Point | None]:
    return [(float(value), y) for value in x]


@pytest.mark.parametrize(
    ("path", "directions"),
    [
        pytest.param(across(range(200, 440, 20)), ["in"], id="left to right"),
        pytest.param(across(range(440, 200, -20)), ["out"], id="right to left"),
        pytest.param(across([100, 500]), ["in"], id="over the whole picture between two sightings"),
        pytest.param([*across([200, 300]), None, None, *across([400, 420])], ["in"], id="unseen while crossing"),
        pytest.param(across(range(200, 320, 20)), [], id="stopping short of it"),
        pytest.param(across([200, 300, 323, 300, 200]), [], id="touching it and going back"),
        pytest.param(across([200, 317, 323, 317, 322, 319, 323, 317, 400]), ["in"], id="jitter on the line"),
        pytest.param(across([*range(200, 440, 20), *range(440, 200, -20)]), ["in", "out"], id="there and back"),
        pytest.param(across([320, 300, 340]), ["in"], id="born on the line, then over it"),
        pytest.param(across([320, 320, 320, 340, 360]), [], id="born on the line, leaving it to one side"),
        pytest.param(across([200, 310, 320, 320, 330, 400]), ["in"], id="resting exactly on it"),
    ],
)
def test_a_line_counts_what_crosses_it(path: list[Point | None], directions: list[str]) -> None:
    subject = zones(UPWARDS)
    events = walk(subject, path)
    assert [event.data["direction"] for event in events] == directions
    assert subject.counts["gate"] == {"in": directions.count("in"), "out": directions.count("out")}


def test_going_round_the_end_of_a_line_is_no_crossing() -> None:
    subject = zones(LineSettings(name="half", start=(0.5, 1.0), end=(0.5, 0.5)))
    assert walk(subject, [(200, 300), (200, 100), (440, 100), (440, 300)]) == []
    assert [e.data["direction"] for e in walk(subject, [(440, 300), (200, 300)], start=4)] == ["out"]


def test_a_slanting_line_counts_by_its_own_sides() -> None:
    subject = zones(LineSettings(name="slant", start=(0.0, 1.0), end=(1.0, 0.0)))
    assert [e.data["direction"] for e in walk(subject, [(100, 100), (200, 150), (500, 300)])] == ["in"]


def test_only_the_wanted_directions_are_counted() -> None:
    subject = zones(LineSettings(name="gate", start=(0.5, 1.0), end=(0.5, 0.0), directions=("out",)))
    events = walk(subject, across([*range(200, 440, 20), *range(440, 200, -20)]))
    assert [event.data["direction"] for event in events] == ["out"]
    assert subject.counts == {"gate": {"in": 0, "out": 1}}


def test_objects_without_identity_never_count() -> None:
    assert walk(zones(UPWARDS, areas=[MIDDLE]), across(range(0, 640, 20)), track_id=-1) == []


def test_only_the_wanted_classes_count() -> None:
    bottles = UPWARDS.model_copy(update={"classes": ("bottle",)})
    area = MIDDLE.model_copy(update={"classes": ("bottle",)})
    assert walk(zones(bottles, areas=[area]), across(range(0, 640, 20)), class_id=1) == []
    kinds = [e.kind for e in walk(zones(bottles, areas=[area]), across(range(0, 640, 20)), class_id=0)]
    assert kinds == ["zone_entered", "line_crossed", "zone_left"]


def test_a_crossing_of_a_young_track_is_counted_when_it_is_old_enough() -> None:
    events = walk(zones(UPWARDS, min_track_age_frames=4), across([300, 340, 380, 420, 460]))
    assert [(event.at, event.data["direction"]) for event in events] == [(0.3, "in")]


def test_flicker_across_the_line_is_never_counted() -> None:
    subject = zones(UPWARDS, min_track_age_frames=3)
    assert walk(subject, across([300, 340]), track_id=1) + walk(subject, across([300, 340]), track_id=2, start=2) == []


def test_an_event_says_what_happened_and_its_id_is_the_same_on_replay() -> None:
    path = across(range(200, 440, 20))
    (event,) = walk(zones(UPWARDS), path, track_id=7)
    assert event.kind == "line_crossed"
    assert event.at == pytest.approx(0.7)
    assert event.data == {"line": "gate", "direction": "in", "count": 1, "track_id": 7, "label": "bottle"}
    assert event.event_id == f"cam/{Position('file:x', 0, 7).encode()}/line_crossed/gate/7"
    assert walk(zones(UPWARDS), path, track_id=7) == [event]


def test_a_visit_reports_entering_leaving_and_how_long_it_was() -> None:
    subject = zones(areas=[MIDDLE])
    events = walk(subject, across([100, 140, 170, 300, 400, 500, 560]))
    assert [(e.kind, e.at, e.data["zone"], e.data["dwell_s"]) for e in events] == [
        ("zone_entered", 0.2, "middle", 0.0),
        ("zone_left", 0.5, "middle", pytest.approx(0.3)),
    ]


def test_who_is_inside_can_be_asked() -> None:
    subject = zones(areas=[MIDDLE])
    walk(subject, across([300, 310]), track_id=4)
    assert subject.occupants == {"middle": (4,)}


def test_jitter_on_the_border_of_a_zone_is_one_visit() -> None:
    assert [e.kind for e in walk(zones(areas=[MIDDLE]), across([150, 158, 161, 158, 162, 159, 157, 165]))] == [
        "zone_entered"
    ]


def test_a_track_lost_inside_left_when_it_was_last_seen() -> None:
    events = walk(zones(areas=[MIDDLE], forget_after_s=1.0), [*across([300, 300, 300]), *[None] * 12])
    assert [e.kind for e in events] == ["zone_entered", "zone_left"]
    assert events[1].at == pytest.approx(0.2)
    assert events[1].data == {
        "zone": "middle",
        "dwell_s": pytest.approx(0.1),
        "track_id": 1,
        "label": "bottle",
        "lost": True,
    }


def test_a_track_hidden_for_a_short_while_has_not_left() -> None:
    path = [*across([300, 300]), *[None] * 8, *across([300, 300])]
    assert [e.kind for e in walk(zones(areas=[MIDDLE], forget_after_s=1.0), path)] == ["zone_entered"]


def test_two_objects_on_one_line_are_two_crossings_in_one_frame() -> None:
    subject = zones(UPWARDS)
    events: list[Event] = []
    for n, x in enumerate([300, 310, 340]):
        seen = tracks([1, 2], [(x, 100), (x, 250)])
        events += subject.update(seen, SIZE, Position("live", 5, n), at=float(n))
    assert [event.data["track_id"] for event in events] == [1, 2]
    assert len({event.event_id for event in events}) == 2


def test_a_change_of_picture_size_is_no_movement() -> None:
    subject = zones(UPWARDS)
    walk(subject, across([300, 300]))
    assert subject.update(tracks([1], [(600, 360)]), (1280, 720), Position("file:x", 0, 2), at=0.2) == ()


@settings(max_examples=30, deadline=None)
@given(
    path=st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 640), st.integers(0, 360))), max_size=25),
    cut=st.integers(0, 25),
)
def test_a_restored_counter_goes_on_as_if_nothing_had_been(path: list[Point | None], cut: int) -> None:
    whole, first, second = (zones(UPWARDS, areas=[MIDDLE], forget_after_s=0.5) for _ in range(3))
    expected = walk(whole, path)
    events = walk(first, path[:cut])
    second.restore(msgpack.unpackb(msgpack.packb(first.checkpoint())))
    events += walk(second, path[cut:], start=min(cut, len(path)))
    assert events == expected
    assert second.checkpoint() == whole.checkpoint()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 640), min_size=1, max_size=40))
def test_in_and_out_alternate_whatever_the_path(path: list[int]) -> None:
    directions = [event.data["direction"] for event in walk(zones(UPWARDS), across(path))]
    assert all(one != other for one, other in pairwise(directions))


def test_a_checkpoint_keeps_only_what_is_still_configured() -> None:
    before = zones(UPWARDS, areas=[MIDDLE])
    walk(before, across(range(200, 440, 20)))
    after = zones(UPWARDS, LineSettings(name="new", start=(0.1, 0), end=(0.1, 1)))
    after.restore(before.checkpoint())
    assert after.counts == {"gate": {"in": 1, "out": 0}, "new": {"in": 0, "out": 0}}


def test_a_checkpoint_of_twelve_tracks_is_small() -> None:
    subject = zones(UPWARDS, areas=[MIDDLE])
    for n in range(3):
        subject.update(
            tracks(range(12), [(30.0 * i + 5 * n, 180) for i in range(12)]), SIZE, Position("live", 1, n), 1.8e9
        )
    assert len(msgpack.packb(subject.checkpoint())) < 1200


@pytest.mark.parametrize("broken", [{}, {"v": 9}, {"v": 1, "counts": [["gate", "up", 1]], "visitors": []}, {"v": 1}])
def test_a_checkpoint_that_cannot_be_read_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="zones checkpoint"):
        zones(UPWARDS).restore(broken)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lines": [{"name": "a", "start": (0.5, 0.5), "end": (0.5, 0.5)}]}, "starts and ends"),
        ({"lines": [{"name": "a", "start": (0.5, 1.5), "end": (0.5, 0.5)}]}, "outside the picture"),
        ({"lines": [{"name": "a", "start": (0, 0), "end": (1, 1)}] * 2}, "line names must differ, a occurs twice"),
        ({"zones": [{"name": "z", "polygon": [(0, 0), (1, 1)]}]}, "at least 3"),
        ({"zones": [{"name": "z", "polygon": [(0, 0), (1, 1), (2, 0)]}]}, "outside the picture"),
        ({"zonez": []}, "zonez"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ZonesSettings.model_validate(wrong)


@pytest.mark.parametrize("speed", [10, 25, 45])
def test_each_part_of_a_belt_is_counted_once(speed: float) -> None:
    tracker, subject = Tracker(TrackSettings()), zones(UPWARDS)
    for n in range(int(1500 / speed)):
        seen = tracker.update(detections(list(belt(speed * n, pitch=200, parts=5).values())))
        subject.update(seen, SIZE, Position("file:x", 0, n), at=n / 30)
    assert subject.counts["gate"] == {"in": 5, "out": 0}
