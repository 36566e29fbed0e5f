"""RTSP messages, whole and broken."""

from __future__ import annotations

import random

import pytest

from pipeline.ingest.rtsp.messages import Malformed, read_message, request


def test_a_request_is_written_as_servers_read_it() -> None:
    written = request("SETUP", "rtsp://cam/1/track1", 3, {"Transport": "RTP/AVP/TCP", "Session": ""})
    assert written == b"SETUP rtsp://cam/1/track1 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP\r\n\r\n"


def test_no_word_of_a_server_adds_a_header() -> None:
    with pytest.raises(Malformed):
        request("PLAY", "rtsp://cam/1\r\nX: y", 3, {})


def test_an_answer_is_read_with_its_body_and_no_more() -> None:
    data = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 3\r\nX: 1\r\nx: 2\r\n\r\nv=0$rest"
    found = read_message(data)
    assert found is not None
    message, length = found
    assert (message.status, message.method, message.cseq, message.body) == (200, "", 2, b"v=0")
    assert message.all("x") == ["1", "2"]
    assert data[length:] == b"$rest"
    assert all(read_message(data[:n]) is None for n in range(length))


def test_a_servers_own_request_is_told_from_an_answer() -> None:
    found = read_message(b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n")
    assert found is not None
    assert (found[0].status, found[0].method, found[0].cseq) == (0, "OPTIONS", 9)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"x" * 20_000, id="a head without an end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="another protocol"),
        pytest.param(b"RTSP/1.0 2000 OK\r\n\r\n", id="no status"),
        pytest.param(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", id="too large a body"),
        pytest.param(b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n", id="a negative length"),
        pytest.param("RTSP/1.0 200 OK\r\nContent-Length: \u00b2\r\n\r\n".encode(), id="a digit that is none"),
        pytest.param(b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", id="too many headers"),
    ],
)
def test_what_is_no_message_is_said(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_message(data)


def test_random_bytes_are_malformed_or_not_whole() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        data = chance.randbytes(chance.randrange(200)) + b"\r\n\r\n" * chance.randrange(2)
        try:
            read_message(data)
        except Malformed:
            continue
