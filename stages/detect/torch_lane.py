"""One batch's way through the device: staging memory, an upload, and the model as one launch per batch size."""

from __future__ import annotations

from collections.abc import Callable

import torch

from stages.detect.torch_stream import Run, Stream, host_memory
from stages.values import UInt8

Forward = Callable[[torch.Tensor], torch.Tensor]  # (n, 3, h, w) uint8 on the device -> the model's answers there

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def batch_sizes(most: int) -> tuple[int, ...]:
    """The sizes a model is captured for, ascending: each batch runs as the next larger one of them."""
    return (*(size for size in BATCH_SIZES if size < most), most)


class Lane:
    """Takes one batch at a time; two lanes work side by side, one uploading while the other infers."""

    def __init__(
        self, forward: Forward, image_size: tuple[int, int], most: int, device: torch.device, stream: Stream
    ) -> None:
        shape = (most, 3, *image_size)
        self._forward = forward
        self._staging = host_memory(shape, torch.uint8, device)
        self._runs: dict[int, Run] = {}
        self.stream = stream
        with stream.active():
            self._pixels = torch.zeros(shape, dtype=torch.uint8, device=device)  # one memory for every size's graph

    def run_once(self, size: int) -> None:
        """The model alone, on whatever pixels lie there, and wait for it. Raises RuntimeError."""
        with self.stream.active():
            self._run(size)
        self.stream.wait()

    def capture(self, size: int) -> None:
        """From here on batches of this size are one launch. Raises RuntimeError; the lane then works as before."""
        self._runs[size] = self.stream.captured(lambda: self._forward(self._pixels[:size]))

    def forget_captured(self) -> None:
        """Back to launching the model's kernels one by one."""
        self._runs.clear()

    def answers(self, tensor: UInt8, size: int) -> torch.Tensor:
        """Answers on the device for the frames of `tensor`, which run as a batch of `size`; theirs until the next call.

        To be called, and what it answers used, with the lane's stream active. Rows beyond the tensor's hold an earlier
        batch's pixels: no frame's answer depends on its neighbours.
        """
        count = len(tensor)
        self._staging[:count].numpy()[...] = tensor
        self._pixels[:count].copy_(self._staging[:count], non_blocking=True)
        return self._run(size)[:count]

    def _run(self, size: int) -> torch.Tensor:
        captured = self._runs.get(size)
        return self._forward(self._pixels[:size]) if captured is None else captured()
