"""Credentials never leave in clear: what looks like one is masked wherever text goes out."""

import re

MASK = "***"

# scheme://user:password@host: up to the last @, for passwords are typed unquoted and may hold '@' and '/'
_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<userinfo>[^\s'\"<>]+)@", re.IGNORECASE)
_QUERY = re.compile(
    r"(?P<key>[?&](?:password|passwd|pwd|pass|token|secret|api_?key|access_?key|auth|sig|signature)=)[^&\s'\"<>]+",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """The text with the password of every address in it replaced; the user's name stays, to tell which login it was."""
    return _QUERY.sub(rf"\g<key>{MASK}", _USERINFO.sub(_masked_userinfo, text))


def has_secret(text: str) -> bool:
    """True where `mask` would change the text."""
    return mask(text) != text


def _masked_userinfo(match: re.Match[str]) -> str:
    user, colon, _ = match["userinfo"].partition(":")
    if colon:
        return f"{match['scheme']}{user}:{MASK}@"
    if "/" in user:  # http://host/name@2x.jpg: the @ belongs to the path
        return match[0]
    return f"{match['scheme']}{MASK}@"  # a lone name may be a token; nothing tells them apart
