"""What the messages say of a result."""

import json
import time
import timeit
from datetime import UTC, datetime

import numpy as np
import orjson
import pytest

from stages.results import MessageError, parse_message
from stages.results.messages import (
    camera_event_message,
    detection_message,
    event_message,
    inspection_message,
    message_id,
    message_id_of,
    rfc3339,
    uninspected_message,
)
from stages.results.models import DetectionMessage, EventMessage, InspectionMessage, UninspectedMessage
from stages.values import Clock, Event, Int32, Position, Tracks, Uninspected
from tests.unit.results import builders as b


def _detection(**changes: object) -> dict[str, object]:
    message: dict[str, object] = orjson.loads(detection_message(b.result(**changes), b.CONTEXT, b.PUBLISHED_AT))
    return message


def test_the_same_frame_has_the_same_id_whenever_it_is_published() -> None:
    first, again = (detection_message(b.result(), b.CONTEXT, b.PUBLISHED_AT + late) for late in (0, 60))
    assert message_id_of(first) == message_id_of(again)


@pytest.mark.parametrize(
    ("camera", "position"),
    [
        pytest.param("cam-2", b.POSITION, id="another camera"),
        pytest.param("cam-1", Position("live", b.POSITION.major + 1, b.POSITION.minor), id="another epoch"),
        pytest.param("cam-1", Position("live", b.POSITION.major, b.POSITION.minor + 1), id="another frame"),
        pytest.param("cam-1", Position("kafka:t/0", b.POSITION.major, b.POSITION.minor), id="another source"),
    ],
)
def test_another_frame_has_another_id(camera: str, position: Position) -> None:
    assert message_id(camera, position) != message_id("cam-1", b.POSITION)


def test_a_camera_name_cannot_run_into_the_source() -> None:
    assert message_id("cam", Position("1x", 1, 2)) != message_id("cam1", Position("x", 1, 2))


@pytest.mark.parametrize(
    "event_id", ["plain/1", 'a "quoted" zone', "Tür\\1", "\u2028"], ids=["plain", "quotes", "backslash", "separator"]
)
def test_the_id_is_found_in_the_bytes_without_parsing_all_of_them(event_id: str) -> None:
    event = Event(event_id, "zone_entered", b.CAPTURED_AT, {"message_id": "not this one"})
    message = event_message(event, b.result(), b.CONTEXT, b.PUBLISHED_AT)
    assert message_id_of(message).decode() == event_id == orjson.loads(message)["message_id"]


def test_the_id_is_found_in_json_another_program_wrote() -> None:
    assert message_id_of(b'{ "camera": "x", "message_id": "abc" }') == b"abc"


def test_boxes_are_rounded_to_a_tenth_of_a_pixel_and_scores_to_four_digits() -> None:
    objects = _detection()["objects"]
    assert objects == [
        {"id": 17, "label": "bottle", "class_id": 0, "score": 0.9876, "box": [10.0, 20.0, 110.3, 320.5]},
        {"id": None, "label": "cap", "class_id": 1, "score": 0.5, "box": [30.0, 18.5, 90.0, 60.0]},
    ]


def test_a_box_at_the_edge_has_no_negative_zero() -> None:
    one = Tracks(
        np.array([[-0.04, -0.0, 5, 5]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), np.ones(1, np.int32)
    )
    assert b"-0.0" not in detection_message(b.result(tracks=one), b.CONTEXT, b.PUBLISHED_AT)


@pytest.mark.parametrize("class_id", [3, -1], ids=["beyond the names", "negative"])
def test_a_class_the_model_has_no_name_for_is_told_by_its_number(class_id: int) -> None:
    one = Tracks(
        np.ones((1, 4), np.float32), np.ones(1, np.float32), np.array([class_id], np.int32), np.ones(1, np.int32)
    )
    (found,) = _detection(tracks=one)["objects"]  # type: ignore[misc]
    assert found["label"] == f"class_{class_id}"


def test_nothing_seen_is_an_empty_list() -> None:
    assert _detection(tracks=Tracks.empty())["objects"] == []


def test_a_failed_frame_says_why() -> None:
    message = parse_message(detection_message(b.result(tracks=Tracks.empty(), error="no luma"), b.CONTEXT))
    assert isinstance(message, DetectionMessage)
    assert message.error == "no luma"


@pytest.mark.parametrize("clock", [Clock.RTCP, Clock.ARRIVAL, Clock.MESSAGE])
def test_latency_counts_from_capture_to_publish(clock: Clock) -> None:
    assert _detection(clock=clock)["latency_ms"] == {"preprocess": 2.1, "detect": 41.5, "track": 1.25, "total": 187.5}


def test_file_time_gives_no_latency() -> None:
    result = b.result(clock=Clock.MEDIA)
    assert "total" not in _detection(clock=Clock.MEDIA)["latency_ms"]  # type: ignore[operator]
    assert orjson.loads(inspection_message(b.INSPECTION, result, b.CONTEXT))["latency_ms"] is None


@pytest.mark.parametrize(
    ("unix_s", "text"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00.000Z", id="the beginning"),
        pytest.param(1_795_000_000.123, "2026-11-18T11:06:40.123Z", id="a float just below its milliseconds"),
        pytest.param(1_795_000_000.9999996, "2026-11-18T11:06:41.000Z", id="rounds over into the next second"),
    ],
)
def test_times_are_utc_with_milliseconds(unix_s: float, text: str) -> None:
    assert rfc3339(unix_s) == text


def test_an_event_without_a_frame_has_no_source() -> None:
    lost = Event("cam-1/state/3", "camera_state", b.CAPTURED_AT, {"state": "RECONNECTING"})
    message = parse_message(camera_event_message(lost, "cam-1", b.CONTEXT, b.PUBLISHED_AT))
    assert isinstance(message, EventMessage)
    assert (message.camera, message.source, message.data) == ("cam-1", None, {"state": "RECONNECTING"})


def test_numbers_from_array_code_may_stand_in_event_data() -> None:
    event = Event("e", "zone_entered", b.CAPTURED_AT, {"track_id": np.int32(4), "share": np.float32(0.5)})
    assert orjson.loads(event_message(event, b.result(), b.CONTEXT))["data"] == {"track_id": 4, "share": 0.5}


def test_a_verdict_without_its_picture_says_why() -> None:
    failed = b.INSPECTION.with_snapshot(None, None, "disk full")
    message = parse_message(inspection_message(failed, b.result(), b.CONTEXT, b.PUBLISHED_AT))
    assert isinstance(message, InspectionMessage)
    assert (message.snapshot, message.snapshot_error) == (None, "disk full")


def test_the_end_of_an_interval_is_not_taken_for_its_beginning() -> None:
    opened = Uninspected("i", b.UNINSPECTED.camera_id, 1.0, None, "black")
    closed = Uninspected("i", b.UNINSPECTED.camera_id, 1.0, 2.0, "black")
    ids = [message_id_of(uninspected_message(each, b.result(), b.CONTEXT)) for each in (opened, closed)]
    assert ids == [b"i/open", b"i/closed"]


def test_a_reader_gets_the_values_back() -> None:
    detection = parse_message(detection_message(b.result(), b.CONTEXT, b.PUBLISHED_AT))
    assert isinstance(detection, DetectionMessage)
    assert detection.captured_at == datetime.fromtimestamp(b.CAPTURED_AT, UTC)
    assert Position.decode(detection.source.position) == b.POSITION
    assert detection.objects[0].box == (10.0, 20.0, 110.3, 320.5)
    interval = parse_message(uninspected_message(b.UNINSPECTED, b.result(), b.CONTEXT, b.PUBLISHED_AT))
    assert isinstance(interval, UninspectedMessage)
    assert interval.until is not None
    assert (interval.until - interval.since).total_seconds() == 4


def test_a_reader_can_write_what_it_read() -> None:
    message = detection_message(b.result(), b.CONTEXT, b.PUBLISHED_AT)
    again = parse_message(message).model_dump_json(by_alias=True).encode()
    assert orjson.loads(again) == orjson.loads(message)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"\xff", "not JSON", id="noise"),
        pytest.param(b"[]", "schema None", id="not an object"),
        pytest.param(b'{"schema": "rayline.detection/2.0"}', "rayline.detection/2.0", id="a later major version"),
        pytest.param(b'{"schema": "rayline.detection"}', "is not one of", id="no version"),
        pytest.param(b'{"schema": "rayline.event/1.0"}', "event_id: Field required", id="fields missing"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(data: bytes, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        parse_message(data)


def test_building_a_message_is_cheap_enough_for_every_frame() -> None:
    """Of ten objects, less than twice what the standard library takes to write the same message down.

    A ratio of the best of many short rounds, by our own CPU: a slow or busy machine slows both.
    """
    ten = Tracks(*(np.concatenate([part] * 5) for part in (b.tracks().xyxy, b.tracks().score)), *_ten_ids())
    result = b.result(tracks=ten)
    message = json.loads(detection_message(result, b.CONTEXT))
    built, written = [], []
    for _ in range(300):
        built.append(timeit.timeit(lambda: detection_message(result, b.CONTEXT), timer=time.thread_time, number=10))
        written.append(timeit.timeit(lambda: json.dumps(message), timer=time.thread_time, number=10))
    assert min(built) < 2 * min(written)


def _ten_ids() -> tuple[Int32, Int32]:
    return np.zeros(10, np.int32), np.arange(10, dtype=np.int32)
