"""The detect stage as the API asks it: pictures of nobody's camera, in the same batches as the cameras' frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stages.errors import RaylineError
from stages.values import Detected, Picture


class DetectorBusy(RaylineError):
    """More waits for the model than it may; the same may succeed in a second."""


class DetectorUnavailable(RaylineError):
    """The model's replicas are away, or it could not work on these pictures."""


class ImageDetector(Protocol):
    """Detects in pictures. Cancelling a call lets go of it: what has not begun is not worked on."""

    async def detect(self, model: str, pictures: Sequence[Picture]) -> Detected:
        """One entry for each picture, in their order. Raises DetectorBusy, DetectorUnavailable."""

    async def is_ready(self) -> bool:
        """True where every model has a replica that answers. It costs a call: nothing for a hot path."""
