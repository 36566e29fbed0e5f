"""A refused message as a dead letter, and back: nothing of it is lost, or what is lost is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.kafka.dead_letters import CUT, NotADeadLetter, dead_letter, parse, redriven
from pipeline.ingest.kafka.message import MessageRefused, RawMessage
from tests.messages import AT_MS, message

REFUSED = MessageRefused("truncated", "a JPEG cut off before its end marker")
NOW = 1_700_000_100.25


def lying(record: tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]], offset: int = 7) -> RawMessage:
    """A dead letter as it lies in its topic."""
    key, value, headers = record
    return RawMessage("pictures.dead-letters", 3, offset, key, value, headers, int(NOW * 1000))


messages = st.builds(
    RawMessage,
    st.just("pictures"),
    st.integers(0, 99),
    st.integers(0, 2**60),
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(st.text(min_size=1, max_size=9), st.binary(max_size=20)), max_size=4).map(tuple),
    st.integers(-1, 2**42),
)


@given(messages)
def test_a_message_comes_back_as_it_was(given: RawMessage) -> None:
    letter = parse(lying(dead_letter(given, REFUSED, NOW)))
    assert letter.message == given
    assert (letter.code, letter.reason) == ("truncated", "a JPEG cut off before its end marker")
    assert (letter.partition, letter.offset, letter.failed_at) == (3, 7, "2023-11-14T22:15:00.250+00:00")
    key, value, headers = redriven(letter)
    assert (key, value, headers) == (given.key, given.value, (*given.headers, ("rayline-redriven", b"1")))


def test_each_return_is_counted() -> None:
    lost = message(b"x", headers=[("a", b"1")])
    for times in (1, 2, 3):
        key, value, headers = redriven(parse(lying(dead_letter(lost, REFUSED, NOW))))
        assert headers == (("a", b"1"), ("rayline-redriven", b"%d" % times))
        lost = RawMessage("pictures", 0, times, key, value, headers, AT_MS)


def test_a_message_too_large_to_send_leaves_its_size() -> None:
    large = message(bytes(5000), headers=[("a", b"1")])
    key, value, headers = dead_letter(large, REFUSED, NOW, most_bytes=2000)
    assert (key, value) == (b"cam-1", b"")
    assert dict(headers)[CUT] == b"5000"
    letter = parse(lying((key, value, headers)))
    assert (letter.is_cut, letter.size_bytes, letter.message.value) == (True, 5000, None)
    assert letter.message.headers == (("a", b"1"),)
    with pytest.raises(ValueError, match="5000 bytes were not kept"):
        redriven(letter)


@pytest.mark.parametrize(
    "large",
    [
        pytest.param(message(bytes(5000), headers=[("a", bytes(5000))]), id="headers"),
        pytest.param(message(bytes(5000), key=bytes(5000)), id="key"),
    ],
)
def test_key_and_headers_too_large_to_send_go_too(large: RawMessage) -> None:
    key, value, headers = dead_letter(large, REFUSED, NOW, most_bytes=2000)
    assert sum(map(len, (key or b"", value or b"", *(part for _, part in headers)))) < 2000
    assert parse(lying((key, value, headers))).size_bytes == 5000


def test_a_long_reason_is_cut() -> None:
    record = dead_letter(message(b"x"), MessageRefused("bad_key", "\u20ac" * 9999), NOW)
    assert parse(lying(record)).reason == "\u20ac" * 500


def test_headers_of_ours_that_a_message_had_already_do_not_stand_twice() -> None:
    copied = message(b"x", headers=[("rayline-code", b"old"), ("a", b"1")])
    letter = parse(lying(dead_letter(copied, REFUSED, NOW)))
    assert letter.code == "truncated"
    assert letter.message.headers == (("a", b"1"),)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param((), "no header", id="none"),
        pytest.param((("rayline-topic", b"t"), ("rayline-partition", b"x")), "invalid literal", id="no number"),
    ],
)
def test_what_is_no_dead_letter_is_told(headers: tuple[tuple[str, bytes], ...], words: str) -> None:
    with pytest.raises(NotADeadLetter, match=words):
        parse(lying((b"k", b"v", headers)))
