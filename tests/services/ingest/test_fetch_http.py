"""Pictures a message names by an HTTP address: read, or refused where the server is slow, endless or leads away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import orjson
import pytest

from pipeline.ingest.kafka.av_messages import MessageDecoder
from pipeline.ingest.kafka.fetch import Fetcher
from pipeline.ingest.kafka.message import MessageRefused
from pipeline.ingest.kafka.message_settings import MessageSettings
from tests.messages import blocks, encoded, message
from tests.stopwatch import Stopwatch
from tests.web_server import served

pytestmark = pytest.mark.services


@contextmanager
def answering(*pieces: bytes, every_s: float = 0.0) -> Iterator[str]:
    """A server that sends the pieces, the last one over and over, whatever is asked."""
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            with client:
                send(client)

    def send(client: socket.socket) -> None:
        client.recv(4096)
        waiting = list(pieces)
        try:
            while waiting and not stop.is_set():
                client.sendall(waiting.pop(0) if len(waiting) > 1 else waiting[0])
                stop.wait(every_s)
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
        finally:
            stop.set()
            thread.join()


def refused_by(uri: str, **changes: object) -> MessageRefused:
    settings = MessageSettings.model_validate({"uri_schemes": ["http"], "fetch_timeout_s": 60, **changes})
    with closing(Fetcher(settings)) as one, pytest.raises(MessageRefused) as refused:
        one.fetch(uri)
    return refused.value


def test_a_picture_is_fetched_and_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(blocks(), "PNG"))
    settings = MessageSettings(uri_schemes=("http",), fetch_timeout_s=60)
    with served(tmp_path) as address, closing(MessageDecoder(settings)) as one:
        for _ in range(3):
            (found,) = one.decode(message(orjson.dumps({"uri": f"{address}/a.png"})))
            assert np.array_equal(found.picture.data, blocks())


def test_a_missing_picture_is_told_without_the_password(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        error = refused_by(f"{address}/missing.png")
    assert (error.code, error.retryable) == ("fetch_failed", True)
    assert "missing.png" in str(error)
    assert "hunter2" not in str(error)


def test_a_server_that_is_away_is_told_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert refused_by(f"http://127.0.0.1:{port}/a.jpg").code == "fetch_failed"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((b"",), id="mute"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"), id="a byte now and then"),
    ],
)
def test_a_slow_server_is_waited_for_no_longer_than_set(pieces: tuple[bytes, ...], stopwatch: Stopwatch) -> None:
    with answering(*pieces, every_s=0.1) as uri:
        stopwatch.restart()
        error = refused_by(uri, fetch_timeout_s=0.5)  # the body would take it hours
    assert error.code == "fetch_failed"
    assert stopwatch.seconds < 2.5


def test_an_endless_answer_is_left_at_the_limit() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536)) as uri:
        assert refused_by(uri, max_message_bytes=200_000).code == "too_large"


def test_a_redirect_is_no_way_round_the_settings(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(blocks(), "PNG"))
    with served(tmp_path) as elsewhere:
        head = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/a.png\r\nContent-Length: 0\r\n\r\n"
        with answering(head.encode(), b"") as uri:
            error = refused_by(uri)
    assert error.code == "fetch_failed"
    assert "redirect" in str(error)
