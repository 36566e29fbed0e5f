"""Errors a stage may raise; each tells what happened and what to do.

RaylineError
  +-- ModelError        weights cannot be loaded, or do not fit the settings
  +-- StageError        a whole call is lost (one frame's failure is a value, not an error)
"""


class RaylineError(Exception):
    """Base of every error Rayline raises on purpose."""


class ModelError(RaylineError):
    """Weights cannot be loaded or do not fit; the message names the file and what would be right."""


class StageError(RaylineError):
    """A stage lost its whole call (device gone, out of memory)."""
