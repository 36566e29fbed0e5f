"""Errors a sink raises.

SinkError
  +-- SinkUnavailable     cannot be reached, or cannot take anything now: keep the result and try again
        +-- SinkRefused   it answers, and says no (password, a key of the wrong type): a person must act
             +-- KeyRefused   it says no to one camera's keys; what it says to others is not touched by that
"""

from stages.errors import RaylineError


class SinkError(RaylineError):
    """Base of what a sink raises; its text never holds credentials."""


class SinkUnavailable(SinkError):
    """Nothing is known to be written; the same write may be sent again."""


class SinkRefused(SinkUnavailable):
    """The same write will be refused again until a person changes something."""


class KeyRefused(SinkRefused):
    """The keys of one camera are refused, such as one that holds another type; waiting does not help it."""
