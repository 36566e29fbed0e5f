"""Cameras stay where they are unless they must move."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orchestrate.shards import assign, members_of
from stages.values import CameraId


def cameras(*names: str, group: str = "m") -> dict[CameraId, str]:
    return {CameraId(name): group for name in names}


@pytest.mark.parametrize(
    ("names", "size", "sizes"),
    [
        pytest.param("", 4, [], id="none"),
        pytest.param("a", 4, [1], id="one"),
        pytest.param("abcd", 4, [4], id="a full one"),
        pytest.param("abcde", 4, [2, 3], id="one more makes two even ones"),
        pytest.param("abc", 1, [1, 1, 1], id="each alone"),
    ],
)
def test_new_cameras_fill_shards_evenly(names: str, size: int, sizes: list[int]) -> None:
    assert sorted(Counter(assign(cameras(*names), size).values()).values()) == sizes


def test_two_models_never_share_a_shard() -> None:
    placed = assign({**cameras("a", "b"), **cameras("c", "d", group="other")}, 4)
    assert members_of(placed) == {"m-1": ("a", "b"), "other-1": ("c", "d")}


def test_a_camera_that_leaves_moves_nobody() -> None:
    before = assign(cameras(*"abcdefgh"), 4)
    after = assign(cameras(*"bcdefgh"), 4, before)
    assert after == {camera: shard for camera, shard in before.items() if camera != "a"}


def test_a_camera_that_comes_takes_the_free_place() -> None:
    before = assign(cameras(*"abcdefgh"), 4)
    gone = assign(cameras(*"bcdefgh"), 4, before)
    assert assign(cameras(*"bcdefghx"), 4, gone)[CameraId("x")] == before[CameraId("a")]


def test_a_camera_whose_model_changes_moves_alone() -> None:
    before = assign(cameras(*"abcd"), 4)
    after = assign({**cameras(*"abc"), **cameras("d", group="other")}, 4, before)
    assert after == {**before, CameraId("d"): "other-1"}


def test_names_that_end_like_shards_are_not_taken_for_each_other() -> None:
    before = {CameraId("a"): "m-1-1"}
    assert assign(cameras("a", group="m"), 4, before) == {"a": "m-1"}
    assert assign(cameras("a", group="m-1"), 4, before) == {"a": "m-1-1"}


def test_a_shard_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one camera"):
        assign(cameras("a"), 0)


fleets = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3).map(CameraId), st.sampled_from(["m", "m-1", "other"]), max_size=25
)


@given(before=fleets, after=fleets, size=st.integers(1, 6), new_size=st.integers(1, 6))
def test_whatever_comes_and_goes_the_rules_hold(
    before: dict[CameraId, str], after: dict[CameraId, str], size: int, new_size: int
) -> None:
    first = assign(before, size)
    second = assign(after, new_size, first)
    assert second.keys() == after.keys()
    assert all(count <= new_size for count in Counter(second.values()).values())
    assert all(len({after[camera] for camera in members}) == 1 for members in members_of(second).values())
    if new_size >= size:
        stayed = {camera for camera in before.keys() & after.keys() if before[camera] == after[camera]}
        assert all(second[camera] == first[camera] for camera in stayed)
    assert assign(after, new_size, second) == second
