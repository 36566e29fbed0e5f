"""How far a reader of several streams is, in one text: what `id:` carries where one entry's id will not do."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping

import orjson

from pipeline.control.problems import ApiError
from pipeline.sinks.keys import is_key_name, line_and_stream, stream_pattern

MOST_CHARS = 6000  # proxies take 8 kB of headers, as a rule
_MOST_BYTES = 200_000
_MARK = "p."
_LARGEST = 2**64 - 1
_ID = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?")


def bookmark(places: Mapping[str, str]) -> str:
    """The places, by stream of one topic, as a text of letters, digits, '.', '_' and '-'."""
    newest = max((int(place.partition("-")[0]) for place in places.values()), default=0)
    lines: dict[str, dict[str, str]] = {}
    for stream, place in sorted(places.items()):
        line, rest = line_and_stream(stream)
        ms, _, seq = place.partition("-")
        # Streams that are written to lie near each other: differences are short.
        lines.setdefault(line, {})[rest.partition(":")[2]] = f"{newest - int(ms):x}-{int(seq):x}"
    packed = zlib.compress(orjson.dumps([newest, lines]), 9)
    return _MARK + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def place_of(text: str, topic: str) -> str | dict[str, str]:
    """ "0", "$", an entry id, or the places a bookmark holds. Raises ApiError 400 for anything else."""
    if text == "$" or _is_entry_id(text):
        return text
    if text.startswith(_MARK) and len(text) <= MOST_CHARS:
        try:
            return _places(text.removeprefix(_MARK), topic)
        except (ValueError, TypeError, AttributeError, zlib.error, binascii.Error):
            pass  # whatever is wrong with it, it was not made here
    raise ApiError(400, "Last-Event-ID, or `after`: give 0, $, or an id as it was sent")


def _places(text: str, topic: str) -> dict[str, str]:
    packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, _MOST_BYTES)
    if not unpacking.eof:
        raise ValueError("longer than any that is made here")
    newest, lines = orjson.loads(data)
    return {
        _stream(topic, line, camera): _entry_id(newest, place)
        for line, cameras in lines.items()
        for camera, place in cameras.items()
    }


def _stream(topic: str, line: str, camera: str) -> str:
    if not is_key_name(line) or not (is_key_name(camera) or (topic == "inspections" and not camera)):
        raise ValueError("no name of ours")
    return stream_pattern(topic, line, camera)


def _entry_id(newest: int, place: str) -> str:
    behind, _, seq = place.partition("-")
    entry_id = f"{newest - int(behind, 16)}-{int(seq, 16)}"
    if not _is_entry_id(entry_id):
        raise ValueError("no entry id")
    return entry_id


def _is_entry_id(text: str) -> bool:
    found = _ID.fullmatch(text)
    return found is not None and text.isascii() and all(int(part) <= _LARGEST for part in found.groups("0"))
