"""Wilson's interval on the four examples of Newcombe (1998), table I, method 3."""

import pytest

from pipeline.history.intervals import Rate, wilson


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0000, 0.1611, id="none of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_it_gives_the_published_bounds(count: int, n: int, low: float, high: float) -> None:
    assert wilson(count, n) == pytest.approx((low, high), abs=5e-5)


def test_all_of_them_is_none_of_the_others() -> None:
    assert wilson(20, 20) == pytest.approx((1 - 0.1611, 1.0), abs=5e-5)


def test_of_nothing_there_is_no_share() -> None:
    rate = Rate.of(0, 0)
    assert (rate.n, rate.share, rate.low, rate.high) == (0, None, None, None)


@pytest.mark.parametrize(("count", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_what_cannot_be_is_refused(count: int, n: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        Rate.of(count, n)
