"""What the belt learns of its own speed."""

import pytest

from stages.inspection.belt import Belt


def test_two_pictures_with_squeezed_time_stamps_do_not_set_the_speed() -> None:
    """Pictures of a tenth of a second each, of which the first four are dated within 20 ms: seen on a real start."""
    belt = Belt(None)
    for n, at in enumerate([0.0, 0.002, 0.013, 0.018, 0.1]):
        belt.advance(at, 0.01 if n else 0.0, "whole")
    for n in range(1, 20):
        belt.advance(0.1 + n / 10, 0.01, "whole")
    assert belt.cruise == pytest.approx(0.1, rel=0.2)


def test_a_first_speed_that_was_wrong_is_forgotten_within_a_second_or_two() -> None:
    belt = Belt(None)
    for n in range(4):
        belt.advance(n / 10, 0.1 if n else 0.0, "whole")
    for n in range(4, 25):
        belt.advance(n / 10, 0.01, "whole")
    assert belt.cruise is not None
    assert belt.cruise < 0.25
