"""Who finds no room is told when to come again."""

import pytest

from pipeline.control.detect.room import MOST_RETRY_AFTER_S, Room
from pipeline.control.problems import ApiError


def test_places_are_given_back_even_where_growing_failed() -> None:
    room = Room(3)
    with room.entered() as first:
        first.grow(2)
        with pytest.raises(ApiError), room.entered() as second:
            second.grow(2)
        assert room.taken == 2
    assert room.taken == 0


@pytest.mark.parametrize(
    ("s_per_image", "told"),
    [(0.0, "1"), (0.01, "1"), (0.6, "3"), (600.0, str(MOST_RETRY_AFTER_S))],
    ids=["nobody knows", "rounded up", "four at the rate of late", "bounded"],
)
def test_retry_after_is_what_is_ahead_at_the_measured_rate(s_per_image: float, told: str) -> None:
    room = Room(4)
    room.s_per_image = s_per_image
    with room.entered() as stay:
        stay.grow(4)
        with pytest.raises(ApiError) as refused, room.entered():
            pass
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, told)
