"""RTSP messages as bytes (RFC 2326): requests out, answers and the server's own requests in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_HEAD_BYTES = 16 * 1024
LONGEST_BODY_BYTES = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_MOST_HEADERS = 100


class Malformed(ValueError):
    """Bytes that are no RTSP message, or one larger than any camera needs."""


@dataclass(frozen=True, slots=True)
class Message:
    """An answer, or a request where `method` is not empty. Header names are in small letters."""

    status: int  # 0 for a request
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first header of this name; empty if there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """Every header of this name."""
        return [value for key, value in self.headers if key == name]

    @property
    def cseq(self) -> int | None:
        """The number of the request it answers, where it says one."""
        text = self.header("cseq")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def request(method: str, url: str, cseq: int, headers: Mapping[str, str]) -> bytes:
    """One request without a body. Raises Malformed where a server's words would break its lines."""
    return _written([f"{method} {url} RTSP/1.0", f"CSeq: {cseq}", *(f"{k}: {v}" for k, v in headers.items() if v)])


def refusal_of(asked: Message) -> bytes:
    """The answer to what a server asks of its client: nothing is done for it."""
    return _written(["RTSP/1.0 501 Not Implemented", f"CSeq: {asked.cseq or 0}"])


def read_message(data: bytes) -> tuple[Message, int] | None:
    """The message these bytes begin with and its length; None while it is not whole. Raises Malformed."""
    end = data.find(_END_OF_HEAD, 0, LONGEST_HEAD_BYTES)
    if end < 0:
        if len(data) >= LONGEST_HEAD_BYTES:
            raise Malformed(f"a head of more than {LONGEST_HEAD_BYTES} bytes")
        return None
    status, method, headers = _head(data[:end])
    body_at = end + len(_END_OF_HEAD)
    length = _content_length(headers)
    if len(data) < body_at + length:
        return None
    return Message(status, method, headers, data[body_at : body_at + length]), body_at + length


def _written(lines: list[str]) -> bytes:
    if any("\r" in line or "\n" in line for line in lines):
        raise Malformed("a line break inside a header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _head(head: bytes) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    first, *rest = head.decode("utf-8", "replace").lstrip("\r\n").split("\r\n")
    words = first.split(" ", 2)
    if len(rest) > _MOST_HEADERS or len(words) < 2:
        raise Malformed("no RTSP message")
    fields = (line.partition(":") for line in rest)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in fields)
    if words[0].startswith("RTSP/"):
        if len(words[1]) != 3 or not (words[1].isascii() and words[1].isdigit()):
            raise Malformed("an answer without a status")
        return int(words[1]), "", headers
    if len(words) != 3 or not words[2].startswith("RTSP/"):
        raise Malformed("no RTSP message")
    return 0, words[0], headers


def _content_length(headers: tuple[tuple[str, str], ...]) -> int:
    text = next((value for name, value in headers if name == "content-length"), "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) > LONGEST_BODY_BYTES:
        raise Malformed(f"a body of more than {LONGEST_BODY_BYTES} bytes, or of no length")
    return int(text)
