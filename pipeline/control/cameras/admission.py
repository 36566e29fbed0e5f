"""What of a camera may be set by the API: whoever has a key is not therefore the owner of this machine's files."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pipeline.config import CameraConfig
from pipeline.config_errors import ConfigError, Problem
from pipeline.ingest.address import SecretUrl
from pipeline.masking import MASK

LONGEST_SETTINGS = 16_384  # characters, as JSON: they are kept in Redis and read at every look
MOST_SETTINGS = 100  # more than there are: for each that is unknown the nearest name is looked for
OF_THIS_MACHINE = ("username_file", "password_file")
# FFmpeg's options reach files, open ports and send headers; these only tune.
TUNING_OPTIONS = frozenset(
    {
        "analyzeduration",
        "buffer_size",
        "err_detect",
        "fflags",
        "fpsprobesize",
        "max_delay",
        "max_probe_packets",
        "probesize",
        "reorder_queue_size",
        "rw_timeout",
        "user_agent",
    }
)

_WEB = ("http", "https", "rtmp", "rtmps")
_METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
)
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNSEEN = re.compile(r"[\x00-\x20\x7f]")  # in an address: a line of a protocol could be smuggled in


def require_admissible(camera: str, given: Mapping[str, Any], schemes: Collection[str]) -> None:
    """Raises ConfigError where the API does not take these settings, each reason with its path."""
    if _length(given) > LONGEST_SETTINGS:  # before they are looked at
        raise ConfigError([Problem((), f"the settings are too long: at most {LONGEST_SETTINGS} characters")], "request")
    if len(given) > MOST_SETTINGS:
        raise ConfigError([Problem((), f"these are too many settings: at most {MOST_SETTINGS}")], "request")
    problems = [*_file_problems(given), *_masked(given), *_url_problems(given.get("url"), schemes)]
    problems += _option_problems(given.get("options"))
    if problems:
        placed = [Problem(("cameras", camera, *problem.path), problem.message, problem.hint) for problem in problems]
        raise ConfigError(placed, "request")


def require_kept_secrets(camera: str, before: CameraConfig, given: Mapping[str, Any]) -> None:
    """Raises ConfigError where a camera's secrets that are not the caller's would be sent to another server.

    A secret file's content and FFmpeg options such as headers stay when the address changes, other than its password.
    """
    url = given.get("url")
    if not isinstance(url, str) or not _has_owners_secrets(before) or _server(SecretUrl(url)) == _server(before.url):
        return
    message = "this camera's login comes from a file or option of the config file, which is for its server alone"
    hint = "change the address in the config file, or add a camera of another name"
    raise ConfigError([Problem(("cameras", camera, "url"), message, hint)], "request")


def _has_owners_secrets(camera: CameraConfig) -> bool:
    return bool(camera.username_file or camera.password_file or set(camera.options) - TUNING_OPTIONS)


def _server(url: SecretUrl) -> tuple[str, ...]:
    return (url.scheme, *_authorities(url))


def _file_problems(given: Mapping[str, Any]) -> Iterator[Problem]:
    for name in OF_THIS_MACHINE:
        if name in given:
            hint = "put it into the config file, or give the login in `url`: it is shown masked everywhere"
            yield Problem((name,), "cannot be set by the API: it names a file of this machine", hint)
    if "camera_id" in given:
        yield Problem(("camera_id",), "cannot be set", "a camera's name stays; add one of another name")


def _length(given: Mapping[str, Any]) -> int:
    """Of names and texts; what is nested deeper than settings are is refused for that."""
    return sum(len(text) for _, text in _texts(given)) + sum(len(path[-1]) for path, _ in _texts(given))


def _masked(given: Mapping[str, Any]) -> Iterator[Problem]:
    for path, text in _texts(given):
        if MASK in text:
            message = f"holds {MASK}, which stands for a password"
            yield Problem(path, message, "give the password again, or leave the setting out")


def _texts(given: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each setting and entry of one, with its text; empty where it holds none."""
    for name, value in given.items():
        yield (name,), value if isinstance(value, str) else ""
        if isinstance(value, Mapping):
            yield from (((name, key), inner if isinstance(inner, str) else "") for key, inner in value.items())


def _url_problems(url: Any, schemes: Collection[str]) -> Iterator[Problem]:
    if not isinstance(url, str) or not url.strip():
        return  # the configuration says it better
    if _UNSEEN.search(url.strip()):
        yield Problem(("url",), "holds a space or control character", "write them as %20 and so on")
        return
    address = SecretUrl(url.strip())
    if address.scheme not in schemes:
        told = f"`{address.scheme}` addresses cannot be set by the API; it takes {', '.join(sorted(schemes)) or 'none'}"
        yield Problem(("url",), told, "put it into the config file, or add the scheme to `api.camera_schemes`")
    elif address.scheme in _WEB and any(_is_for_machines(_host(one)) for one in _authorities(address)):
        hint = "give the address of a camera"
        yield Problem(("url",), "is an address at which clouds tell machines their secrets (link-local)", hint)


def _option_problems(options: Any) -> Iterator[Problem]:
    if not isinstance(options, Mapping):
        return
    for name, value in options.items():
        if name not in TUNING_OPTIONS:
            hint = f"put it into the config file; by the API: {', '.join(sorted(TUNING_OPTIONS))}"
            yield Problem(
                ("options", str(name)), "cannot be set by the API: FFmpeg options reach files and ports", hint
            )
        elif isinstance(value, str) and re.search(r"[\x00-\x1f\x7f]", value):
            yield Problem(("options", str(name)), "holds a control character", "leave it out")


def _authorities(url: SecretUrl) -> tuple[str, str]:
    """Host and port as we read them and as the standard does: signs in a password can make them differ."""
    standard = re.split(r"[/?#]", url.get_secret_value().partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    return re.split(r"[/?#]", url.place, maxsplit=1)[0].lower(), standard.lower()


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def _is_for_machines(host: str) -> bool:
    """True for link-local and metadata addresses, however they are written, and for names that are known to be theirs.

    Other names are not looked up: what they mean may be another thing by the time they are connected to.
    """
    name = host.rstrip(".").partition("%")[0]
    if name in _METADATA_NAMES:
        return True
    address = _address(name)
    return address is not None and (address.is_link_local or address in _METADATA_ADDRESSES)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text))  # 0xa9fea9fe and 2852039166 are addresses too
        except (OSError, ValueError):
            return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
