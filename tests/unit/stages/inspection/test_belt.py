"""What the belt learns of its own speed."""

import pytest

from stages.inspection.belt import Belt, ToldBy


def test_two_pictures_with_squeezed_time_stamps_do_not_set_the_speed() -> None:
    """Pictures of a tenth of a second each, of which the first four are dated within 20 ms: seen on a real start."""
    belt = Belt(None)
    for n, at in enumerate([0.0, 0.002, 0.013, 0.018, 0.1]):
        belt.advance(at, 0.01 if n else 0.0, "whole")
    for n in range(1, 20):
        belt.advance(0.1 + n / 10, 0.01, "whole")
    assert belt.cruise == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("told_by", ["whole", "cut"])
def test_two_pictures_dated_a_microsecond_apart_tell_no_speed(told_by: ToldBy) -> None:
    """Else the next picture is expected thousands of pictures on, where no part is found, and never again."""
    belt = Belt(None)
    belt.advance(0.0, 0.0, told_by)
    belt.advance(1e-6, 0.05, told_by)
    assert belt.expected(0.1) == 0.0
    belt.advance(0.1, 0.01, told_by)
    assert abs(belt.expected(0.2)) < 0.1


def test_a_first_speed_that_was_wrong_is_forgotten_within_a_second_or_two() -> None:
    belt = Belt(None)
    for n in range(4):
        belt.advance(n / 10, 0.1 if n else 0.0, "whole")
    for n in range(4, 25):
        belt.advance(n / 10, 0.01, "whole")
    assert belt.cruise is not None
    assert belt.cruise < 0.25
