"""Whose a message is and when it was captured, from key, headers and envelope; what is refused, and how it is told."""

from __future__ import annotations

import pickle

import orjson
import pytest
from pydantic import ValidationError

from pipeline.ingest.kafka.message import MessageRefused, camera_of, captured_at_of, envelope
from pipeline.ingest.kafka.message_settings import MessageSettings
from tests.messages import message


@pytest.mark.parametrize(
    ("camera_from", "given"),
    [
        pytest.param("key", message(b"x", key=b"line-1.cam"), id="key"),
        pytest.param("header:camera", message(b"x", key=None, headers=[("camera", b"line-1.cam")]), id="header"),
        pytest.param(
            "header:camera", message(b"x", headers=[("camera", b"a"), ("camera", b"line-1.cam")]), id="the last header"
        ),
        pytest.param("json:camera", message(b'{"camera": "line-1.cam"}'), id="envelope"),
        pytest.param("json:source.name", message(b'{"source": {"name": "line-1.cam"}}'), id="deep in the envelope"),
    ],
)
def test_a_camera_is_named_where_the_settings_say(camera_from: str, given: object) -> None:
    assert camera_of(given, MessageSettings(camera_from=camera_from)) == "line-1.cam"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("camera_from", "given", "code", "words"),
    [
        pytest.param("key", message(b"x", key=None), "bad_key", "there is none", id="no key"),
        pytest.param("key", message(b"x", key=b""), "bad_key", "no camera's name", id="an empty key"),
        pytest.param("key", message(b"x", key=b"\xff\xfe"), "bad_key", "is no text", id="not UTF-8"),
        pytest.param(
            "key", message(b"x", key=b"Cam 1"), "bad_key", "for example 'cam-1'", id="no name, a near one told"
        ),
        pytest.param("key", message(b"x", key=b"cam\n"), "bad_key", "no camera's name", id="a line's end"),
        pytest.param("key", message(b"x", key=b"c" * 5000), "bad_key", "...", id="long, and cut where it is told"),
        pytest.param("header:camera", message(b"x"), "bad_key", "header 'camera'", id="no header"),
        pytest.param("json:camera", message(b'{"camera": 7}'), "bad_key", "no camera's name: 7", id="a number"),
        pytest.param("json:a.b", message(b'{"a": [1]}'), "bad_key", "there is none", id="a path into a list"),
        pytest.param("json:camera", message(b'{"camera"'), "bad_envelope", "not JSON", id="half an envelope"),
        pytest.param("json:camera", message(b"[1]"), "bad_envelope", "not an object", id="a list"),
        pytest.param("json:camera", message(None), "empty", "no value", id="a tombstone"),
        pytest.param("json:camera", message(b"{" + b" " * 2000), "too_large", "at most 1024", id="too large"),
    ],
)
def test_a_message_that_names_no_camera_is_refused_with_the_reason(
    camera_from: str, given: object, code: str, words: str
) -> None:
    settings = MessageSettings(camera_from=camera_from, max_message_bytes=1024)
    with pytest.raises(MessageRefused) as refused:
        camera_of(given, settings)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert words in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("time_from", "given"),
    [
        pytest.param("timestamp", message(b"x", timestamp_ms=1_700_000_000_250), id="the record's own"),
        pytest.param("header:at", message(b"x", headers=[("at", b"1700000000250")]), id="milliseconds"),
        pytest.param("header:at", message(b"x", headers=[("at", b"2023-11-14T22:13:20.25Z")]), id="RFC 3339"),
        pytest.param("json:t", message(b'{"t": "2023-11-15T00:13:20.250+02:00"}'), id="of another zone"),
        pytest.param("json:t", message(b'{"t": 1700000000250}'), id="a number in the envelope"),
        pytest.param("json:t", message(b'{"t": "1700000000250.0"}'), id="a number in quotes"),
    ],
)
def test_a_time_is_read_where_the_settings_say(time_from: str, given: object) -> None:
    assert captured_at_of(given, MessageSettings(time_from=time_from)) == pytest.approx(  # type: ignore[arg-type]
        1_700_000_000.25, abs=1e-6
    )


@pytest.mark.parametrize(
    ("time_from", "given", "words"),
    [
        pytest.param("timestamp", message(b"x", timestamp_ms=-1), "there is none", id="the record has none"),
        pytest.param("timestamp", message(b"x", timestamp_ms=1_700_000_000), "milliseconds", id="seconds"),
        pytest.param("header:at", message(b"x"), "header 'at'", id="no header"),
        pytest.param("header:at", message(b"x", headers=[("at", b"\xff")]), "neither RFC 3339", id="not UTF-8"),
        pytest.param("header:at", message(b"x", headers=[("at", b"2023-11-14T22:13:20")]), "zone", id="no zone"),
        pytest.param("header:at", message(b"x", headers=[("at", b"0001-01-01T00:00:00+23:59")]), "before 2000", id="1"),
        pytest.param("json:t", message(b'{"t": true}'), "neither", id="a truth"),
        pytest.param("json:t", message(b'{"t": 1e300}'), "after 2099", id="far away"),
        pytest.param("json:t", message(b'{"t": 18446744073709551615}'), "after 2099", id="the largest number"),
        pytest.param("json:t", message(b'{"t": {}}'), "neither", id="an object"),
    ],
)
def test_a_time_that_cannot_be_is_refused(time_from: str, given: object, words: str) -> None:
    with pytest.raises(MessageRefused, match=words) as refused:
        captured_at_of(given, MessageSettings(time_from=time_from))  # type: ignore[arg-type]
    assert refused.value.code == "bad_time"


def test_a_deep_envelope_is_refused_and_nothing_worse() -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    with pytest.raises(MessageRefused, match="not JSON"):
        envelope(message(deep), MessageSettings())


def test_an_envelope_is_parsed_once() -> None:
    given, settings = message(b'{"camera": "a", "t": 1700000000250}'), MessageSettings(camera_from="json:camera")
    assert camera_of(given, settings) == "a"
    assert envelope(given, settings) is envelope(given, settings)


def test_a_refusal_travels_between_processes_whole() -> None:
    sent = pickle.loads(pickle.dumps(MessageRefused("fetch_failed", "away", retryable=True)))
    assert (sent.code, str(sent), sent.retryable) == ("fetch_failed", "away", True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"camera_from": "value"},
        {"camera_from": "json:"},
        {"camera_from": "json:a..b"},
        {"time_from": "key"},
        {"uri_schemes": ["file"]},
        {"uri_schemes": ["HTTP://"]},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MessageSettings.model_validate(wrong)


def test_storage_secrets_are_not_shown() -> None:
    settings = MessageSettings(uri_schemes=("s3",), storage_options={"s3": {"secret": "hunter2"}})
    assert "hunter2" not in repr(settings)
    assert orjson.loads(settings.model_dump_json())["storage_options"]["s3"]["secret"] == "hunter2"  # it is handed on
