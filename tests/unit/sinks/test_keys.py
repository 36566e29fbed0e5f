"""The keys of a line."""

import fnmatch

import pytest

from pipeline.sinks.keys import camera_keys, cursor_owner, stream_pattern


def test_keys_of_a_line_share_their_hash_tag() -> None:
    assert camera_keys("L1", "cam-1") == (
        "rayline:{L1}:cursor:cam-1",
        "rayline:{L1}:detections:cam-1",
        "rayline:{L1}:events:cam-1",
        "rayline:{L1}:inspections",
        "rayline:{L1}:readers",
    )


@pytest.mark.parametrize("name", ["", "a:b", "a}b", "{a", "a b", "a/b", "*", "-a", "ä", "a\n"])
@pytest.mark.parametrize("place", ["line", "camera"])
def test_a_name_that_could_leave_its_place_is_refused(name: str, place: str) -> None:
    names = {"line": "l", "camera": "c"} | {place: name}
    with pytest.raises(ValueError, match="cannot be a line or camera name"):
        camera_keys(**names)


@pytest.mark.parametrize("kind", ["detections", "events", "inspections"])
def test_patterns_find_their_streams(kind: str) -> None:
    mine, other = (getattr(camera_keys(line, "cam.1"), kind) for line in ("L1", "L2"))
    assert fnmatch.fnmatchcase(mine, stream_pattern(kind))
    assert fnmatch.fnmatchcase(mine, stream_pattern(kind, "L1"))
    assert not fnmatch.fnmatchcase(other, stream_pattern(kind, "L1"))
    assert not fnmatch.fnmatchcase(camera_keys("L1", "c").cursor, stream_pattern(kind))


def test_a_cursor_key_tells_whose_it_is() -> None:
    assert cursor_owner(camera_keys("L1", "cam.1-a").cursor) == ("L1", "cam.1-a")
