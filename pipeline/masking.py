"""Credentials never leave in clear: what looks like one is masked wherever text goes out."""

import re

MASK = "***"

_SCHEME = re.compile(r"\b[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_STOP = r"[/?#]"
_NAME = r"(?:\[[^\]/?#@\s]+\]|[\w.-]+)"
_HOST = re.compile(rf"{_NAME}(?::\d{{1,5}})?(?={_STOP}|$)")
# A name at the very end is a host too, if it is dotted and no file's
_LIKELY_HOST = re.compile(
    rf"{_NAME}(?::\d{{1,5}})?(?=/)|[\w.-]+\.(?!(?:jpe?g|png|gif|bmp|webp|mp4|mkv|mov|avi|ts|sdp|m3u8|mjpe?g|cgi)$)[a-z]+$",
    re.IGNORECASE,
)
# Nobody's password: an IP address, localhost, or a dotted name with a path behind it
_SURELY_HOST = re.compile(
    rf"(?:(?:\[[^\]/?#@\s]+\]|localhost|\d+(?:\.\d+){{3}})(?::\d{{1,5}})?(?={_STOP}|$)"
    r"|[\w-]+(?:\.[\w-]+)+(?::\d{1,5})?(?=/))",
    re.IGNORECASE,
)
_SURELY_HOST_BEHIND_LOGIN = re.compile(rf"{_SURELY_HOST.pattern}|{_NAME}:\d{{1,5}}(?={_STOP}|$)", re.IGNORECASE)
_MAYBE_LOGIN = re.compile(rf"(?!localhost\b)[\w-]+:\d{{1,5}}{_STOP}.*@", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"[^\s'\"<>]*")  # an address in running text, if nothing odd is in its password
_LINE = re.compile(r"[^\n]*")

_KEYS = r"passw(?:or[dt])?|passwd|pass?|psw|pswd|pwd|token|secret|credential|api_?key|access_?key|auth|sig|signature"
_KEY = rf"(?P<key>[?&;](?:[\w.-]*(?:{_KEYS})|pw)=)"
_QUERY = re.compile(rf"{_KEY}[^&\s'\"<>]+", re.IGNORECASE)
_QUERY_TO_ITS_END = re.compile(rf"{_KEY}[^&]+", re.IGNORECASE)


def mask(text: str) -> str:
    """The text with the password of every address in it replaced; the user's name stays, to tell which login it was."""
    if _SCHEME.match(text) and text.count("://") == 1 and not re.search(r"\s", text):
        return mask_address(text)
    schemes = list(_SCHEME.finditer(text))
    limits = [*(scheme.start() for scheme in schemes[1:]), len(text)]
    pieces, done = [], 0
    for scheme, limit in zip(schemes, limits, strict=False):
        start = scheme.end()
        rest = _address_in(text, start, limit)
        end = _hidden_end(rest)
        if end >= 0:
            pieces += [text[done:start], masked_login(rest[:end])]
            done = start + end
    return _QUERY.sub(rf"\g<key>{MASK}", "".join([*pieces, text[done:]]))


def mask_address(address: str) -> str:
    """The same for a text that is one address and nothing else: whatever signs its password holds, all of it goes."""
    scheme, separator, rest = address.partition("://")
    end = _hidden_end(rest)
    shown = masked_login(rest[:end]) + rest[end:] if end >= 0 else rest
    return _QUERY_TO_ITS_END.sub(rf"\g<key>{MASK}", f"{scheme}{separator}{shown}")


def has_secret(text: str) -> bool:
    """True where `mask` would change the text."""
    return mask(text) != text


def login_end(rest: str) -> int:
    """Index of the `@` that ends the login in what follows an address's `://`; -1 where it has none.

    The host ends at the first / ? or #, and the login at the last @ before that, as everywhere. But passwords are typed
    unquoted and may hold these signs. So where what stands there is not surely a host (an IP address, `localhost`, a
    dotted name with a path, behind a login any host with a port), a later @ with one behind it counts. Without any,
    what could be a host and has no login before it is the host; else the last @ with a host and a path behind it
    counts, or simply the last. Where this guesses wrong, signs in the password must be written as %40, %2F and so on.
    """
    stop = re.search(_STOP, rest)
    first = rest.rfind("@", 0, stop.start() if stop else len(rest))
    later = [at.start() for at in re.finditer("@", rest) if at.start() > first]
    end = _chosen(rest, first, later)
    if end >= 0 and ":" not in rest[:end] and re.search(_STOP, rest[:end]):
        return -1  # http://host/name@2x.jpg: the @ belongs to the path
    return end


def _hidden_end(rest: str) -> int:
    """As `login_end`, but in doubt more is hidden: `admin:12/secret@...` may be a host with a port, or a login."""
    end = login_end(rest)
    return rest.rfind("@") if end < 0 and _MAYBE_LOGIN.match(rest) else end


def masked_login(login: str) -> str:
    """`user:password` with the password hidden; a lone name may be a token, nothing tells them apart."""
    user, colon, _ = login.partition(":")
    return f"{user}:{MASK}" if colon else MASK


def _chosen(rest: str, first: int, later: list[int]) -> int:
    surely = _SURELY_HOST if first < 0 else _SURELY_HOST_BEHIND_LOGIN
    if surely.match(rest, first + 1):
        return first
    for at in later:
        if _SURELY_HOST_BEHIND_LOGIN.match(rest, at + 1):
            return at
    if first < 0 and _HOST.match(rest):
        return first
    candidates = [first, *later] if first >= 0 else later
    likely = [at for at in candidates if _LIKELY_HOST.match(rest, at + 1)]
    return (likely or candidates or [-1])[-1]


def _address_in(text: str, start: int, limit: int) -> str:
    """What follows `://` at `start`, as far as it can be told in running text that goes on until `limit`.

    A word; more where it breaks off in the middle of a login, for passwords may hold spaces and quotes.
    """
    word = _WORD.match(text, start, limit)
    address = word.group().rstrip(".,;:!)]}") if word else ""
    if "@" in address or ":" not in re.split(_STOP, address)[0] or _HOST.match(address):
        return address
    line = _LINE.match(text, start, limit)
    for at in re.finditer("@", line.group() if line else ""):
        behind = _WORD.match(text, start + at.end(), limit)
        if behind and _HOST.match(behind.group().rstrip(".,;:!)]}")):
            return text[start : behind.end()]
    return address
