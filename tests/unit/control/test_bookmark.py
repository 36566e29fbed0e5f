"""The id that tells where several streams are read up to."""

from __future__ import annotations

import base64
import re
import zlib
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.control.live.bookmark import MOST_CHARS, bookmark, place_of
from pipeline.control.problems import ApiError

NAMES = st.sampled_from(["a", "l1", "cam-1", "cam.2", "a_b", "0", "line-with-a-long-name"])
IDS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)).map(lambda pair: f"{pair[0]}-{pair[1]}")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.tuples(NAMES, NAMES), IDS, max_size=20))
def test_what_goes_in_comes_out(places: dict[tuple[str, str], str]) -> None:
    streams = {f"rayline:{{{line}}}:events:{camera}": place for (line, camera), place in places.items()}
    text = bookmark(streams)
    assert text.isascii()
    assert "\n" not in text
    assert place_of(text, "events") == streams


def test_a_line_has_one_stream_of_inspections() -> None:
    streams = {"rayline:{l1}:inspections": "1-0", "rayline:{l2}:inspections": "2-7"}
    assert place_of(bookmark(streams), "inspections") == streams


def test_four_hundred_cameras_fit_into_a_header() -> None:
    streams = {f"rayline:{{line-{n // 8}}}:detections:cam-{n}": f"{1794999000000 + n * 37}-0" for n in range(400)}
    assert len(bookmark(streams)) < MOST_CHARS


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | st.text("0123456789-$p.", max_size=30) | st.binary(max_size=60).map(bytes.hex))
def test_anything_else_is_refused(text: str) -> None:
    is_entry_id = re.fullmatch(r"\$|[0-9]{1,19}(-[0-9]{1,19})?", text) is not None
    for given_back, is_right in ((text, is_entry_id), (f"p.{text}", False)):
        with nullcontext() if is_right else pytest.raises(ApiError):
            assert place_of(given_back, "events") == given_back


def test_a_bomb_is_not_unpacked() -> None:
    bomb = "p." + base64.urlsafe_b64encode(zlib.compress(b"[" * 3_000_000, 9)).decode().rstrip("=")
    assert len(bomb) < MOST_CHARS
    with pytest.raises(ApiError):
        place_of(bomb, "events")
