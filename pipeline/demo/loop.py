"""Pictures coded once and sent again and again: a camera that costs this machine next to nothing, as real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.demo.encoder import CodedPicture, StreamSettings, VideoEncoder


class Coder(Protocol):
    """What a stream gets its coded pictures from. Used by one thread at a time."""

    parameters: tuple[bytes, ...]  # parameter sets, as the session description tells them

    def code(self, number: int, *, keyframe: bool) -> CodedPicture:
        """Picture `number`. `keyframe`: a newcomer waits for one; who cannot make one now lets it wait."""

    def close(self) -> None:
        """Let go of the codec."""


class Loop:
    """Whole groups of pictures, each from a keyframe on, so that the first may follow the last.

    Any number of streams may send the same loop.
    """

    def __init__(self, settings: StreamSettings, pictures: Sequence[npt.NDArray[np.uint8]]) -> None:
        """Codes the pictures, (H, W, 3) uint8 RGB of any size. Raises ValueError if they are not whole groups."""
        group = max(1, round(settings.fps * settings.keyframe_s))
        if not pictures or len(pictures) % group:
            raise ValueError(f"a loop holds whole groups of {group} pictures, not {len(pictures)} pictures")
        self.settings = settings
        with VideoEncoder(settings) as encoder:
            self.parameters = encoder.parameters
            for _ in range(2):  # the second time round the encoder has found its bitrate
                self._coded = [encoder.encode(each, keyframe=n % group == 0) for n, each in enumerate(pictures)]

    def code(self, number: int, *, keyframe: bool) -> CodedPicture:
        """As Coder's: it is coded already."""
        return self._coded[number % len(self._coded)]

    def close(self) -> None:
        """As Coder's: there is nothing to let go of."""
