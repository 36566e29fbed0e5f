"""Which addresses images are fetched from."""

from __future__ import annotations

import ipaddress

import pytest

from pipeline.control.detect.addresses import Reachable, is_public
from pipeline.control.detect.settings import DetectLimits, Fetching


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("10.1.2.3", id="private A"),
        pytest.param("100.64.0.1", id="carrier-grade NAT"),
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.0.9", id="the rest of loopback"),
        pytest.param("169.254.169.254", id="a cloud's metadata"),
        pytest.param("172.31.255.255", id="private B"),
        pytest.param("192.0.0.8", id="protocol assignments"),
        pytest.param("192.88.99.1", id="6to4 relays"),
        pytest.param("192.168.1.1", id="private C"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("203.0.113.7", id="documentation"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="IPv6 unspecified"),
        pytest.param("::1", id="IPv6 loopback"),
        pytest.param("::127.0.0.1", id="IPv4-compatible"),
        pytest.param("64:ff9b::7f00:1", id="NAT64 of loopback"),
        pytest.param("64:ff9b:1::a00:1", id="local NAT64"),
        pytest.param("100::1", id="discard"),
        pytest.param("2001:0:4136:e378:8000:63bf:3fff:fdd2", id="Teredo"),
        pytest.param("2001:db8::1", id="IPv6 documentation"),
        pytest.param("2002:7f00:1::1", id="6to4 of loopback"),
        pytest.param("2002:5db8:d822::1", id="6to4 of a public one: who unwraps it is nobody's promise"),
        pytest.param("3fff::1", id="newer documentation"),
        pytest.param("fc00::1", id="unique local"),
        pytest.param("fd00:ec2::254", id="a cloud's metadata by IPv6"),
        pytest.param("fe80::1", id="link-local"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("ff02::1", id="IPv6 multicast"),
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_others_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        pytest.param("::ffff:93.184.216.34", True, id="of a public one"),
        pytest.param("::ffff:127.0.0.1", False, id="of loopback"),
        pytest.param("::ffff:10.1.2.3", True, id="of an allowed one"),
    ],
)
def test_an_ipv6_spelling_is_judged_as_the_ipv4_address_that_is_connected_to(address: str, admitted: bool) -> None:
    reachable = Reachable(DetectLimits(allowed_networks=("10.1.0.0/16",)))
    assert bool(reachable.among([address], "h")) is admitted


def test_of_several_addresses_the_inner_ones_are_left_out() -> None:
    found = Reachable(DetectLimits()).among(["127.0.0.1", "93.184.216.34", "fe80::1%eth0", "nonsense"], "h")
    assert [str(address) for address in found] == ["93.184.216.34"]


def test_an_allowed_host_may_be_inside_but_is_no_way_to_the_link_itself() -> None:
    reachable = Reachable(DetectLimits(allowed_hosts=("nas.local",)))
    assert [str(a) for a in reachable.among(["10.0.0.5", "169.254.169.254"], "NAS.local.")] == ["10.0.0.5"]
    assert not reachable.among(["10.0.0.5"], "other.local")


def test_allowed_alone_leaves_the_public_out_and_off_leaves_all_out() -> None:
    allowed = Reachable(DetectLimits(fetch=Fetching.ALLOWED, allowed_networks=("10.0.0.0/8",)))
    assert [str(a) for a in allowed.among(["1.1.1.1", "10.0.0.5"], "h")] == ["10.0.0.5"]
    off = Reachable(DetectLimits(fetch=Fetching.OFF, allowed_networks=("10.0.0.0/8",)))
    assert not off.among(["1.1.1.1", "10.0.0.5"], "h")


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_networks": ["10.0.0.0/40"]},
        {"allowed_hosts": ["http://nas"]},
        {"fetch_ports": [0]},
        {"max_images": 65, "max_waiting": 64},
    ],
)
def test_limits_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).removesuffix("s").split("_")[-1] + "|no|IPv4"):
        DetectLimits.model_validate(wrong)
