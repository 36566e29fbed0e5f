"""Who counts as one caller, and how a rate is written."""

import pytest
from starlette.requests import HTTPConnection

from pipeline.control.rates.address import address_of
from pipeline.control.rates.counting import Count
from pipeline.control.rates.settings import Rate, RateLimitSettings


@pytest.mark.parametrize(
    ("client", "address"),
    [
        pytest.param(("192.0.2.7", 5), "192.0.2.7", id="IPv4"),
        pytest.param(("::ffff:192.0.2.7", 5), "192.0.2.7", id="IPv4 in IPv6"),
        pytest.param(("2001:db8:1:2:aaaa::1", 5), "2001:db8:1:2::/64", id="IPv6"),
        pytest.param(("2001:db8:1:2:bbbb::9", 5), "2001:db8:1:2::/64", id="its neighbour"),
        pytest.param(("fe80::1%eth0", 5), "fe80::/64", id="with a zone"),
        pytest.param(("testclient", 5), "testclient", id="a name"),
        pytest.param(None, "here", id="a socket of this machine"),
    ],
)
def test_an_address_is_one_caller(client: tuple[str, int] | None, address: str) -> None:
    assert address_of(HTTPConnection({"type": "http", "headers": [], "client": client})) == address


@pytest.mark.parametrize(
    ("text", "rate"),
    [("600/minute", Rate(600, 60)), ("1 / second", Rate(1, 1)), ("5000/hour", Rate(5000, 3600))],
)
def test_a_rate_is_so_many_in_so_long(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text", ["", "600", "0/minute", "-1/minute", "600/fortnight", "1.5/second", "99999999/hour", "9/minute;"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="600/minute"):
        RateLimitSettings(per_principal=text)


@pytest.mark.parametrize(("reset_s", "told"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (59.5, 60)])
def test_who_waits_as_long_as_told_has_waited_long_enough(reset_s: float, told: int) -> None:
    assert Count(False, 0, reset_s).retry_after_s == told
