"""Errors a sink raises, and text with its credentials taken out.

SinkError
  +-- SinkUnavailable     cannot be reached, or cannot take anything now: keep the result and try again
        +-- SinkRefused   it answers, and says no (password, a key of the wrong type): a person must act
"""

import re

from stages.errors import RaylineError

_USER_INFO = re.compile(r"(?<=://)\S*@")  # up to the last @: a password may hold one


class SinkError(RaylineError):
    """Base of what a sink raises; its text never holds credentials."""


class SinkUnavailable(SinkError):
    """Nothing is known to be written; the same write may be sent again."""


class SinkRefused(SinkUnavailable):
    """The same write will be refused again until a person changes something."""


def masked(text: str) -> str:
    """`text` without the `user:password` of any URL in it."""
    return _USER_INFO.sub("***@", text)
