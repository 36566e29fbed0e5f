"""A .pt on the GPU: pinned bytes up, CUDA graphs, and only what can matter back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from typing import cast

from stages.detect.vendor import prepare_ultralytics
from stages.errors import ModelError, StageError
from stages.values import Float32, UInt8

prepare_ultralytics()

import torch  # noqa: E402 - ultralytics must find its environment set
from torch import nn  # noqa: E402
from ultralytics.nn.modules.head import Detect  # noqa: E402

from stages.detect.torch_lane import Lane, batch_sizes  # noqa: E402
from stages.detect.torch_reduce import reached_only  # noqa: E402
from stages.detect.torch_stream import Stream, host_memory, stream_on  # noqa: E402
from stages.detect.ultralytics_backend import UltralyticsBackend  # noqa: E402

logger = logging.getLogger(__name__)

LANES = 2  # one batch is uploaded, or its answers fetched, while the other is inferred; a third would only wait
_CURE = "lower models.<name>.max_batch, or let fewer replicas share the GPU (graph.detect_replicas, detect_gpus)"


class TorchBackend:
    """The module ultralytics loads, run without it: each batch runs as the next larger size that was captured.

    On a CPU the very same way, but for the graphs, the pinning and the streams. Takes `max_batch` frames at most.
    """

    def __init__(
        self,
        loaded: UltralyticsBackend,
        image_size: tuple[int, int],
        max_batch: int,
        make_stream: Callable[[torch.device], Stream] = stream_on,
    ) -> None:
        """Takes `loaded` over. Raises ModelError where its largest batch finds no room on the device."""
        self.names, self.sha256 = loaded.names, loaded.sha256
        self._module, self._device, half = loaded.module, loaded.device, loaded.half
        self._dtype = torch.half if half else torch.float32
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._sizes = batch_sizes(max_batch)
        self._held: list[object] = []
        self._module_turn = threading.Lock()  # its head keeps the last size's anchors: one at a time may call it
        self._answers = threading.local()
        lanes = [
            Lane(self._forward, image_size, max_batch, self._device, make_stream(self._device)) for _ in range(LANES)
        ]
        self._captured = self._prepare(lanes)
        self._idle: SimpleQueue[Lane] = SimpleQueue()
        for lane in lanes:
            self._idle.put(lane)
        launches = "graphs" if self._captured else "no graphs"
        self.runtime = f"torch {self._device.type} {'f16' if half else 'f32'}, {launches}"

    def infer(self, tensor: UInt8, min_score: float = 0.0) -> Float32:
        """As `Backend.infer`."""
        if len(tensor) > self._sizes[-1]:
            raise StageError(f"a batch of {len(tensor)} frames; the model was loaded for {self._sizes[-1]} at most")
        size = next(size for size in self._sizes if size >= len(tensor))
        try:
            with self._lane() as lane, torch.inference_mode(), lane.stream.active():
                reduced = reached_only(self._raw(lane, tensor, size), min_score)
                answers = self._kept(tuple(reduced.shape))
                answers.copy_(reduced, non_blocking=True)
                lane.stream.wait()
        except torch.OutOfMemoryError as exc:
            raise StageError(f"no room on the GPU for a batch of {len(tensor)}; {_CURE}: {_first_line(exc)}") from exc
        except RuntimeError as exc:
            raise StageError(f"torch gave up on a batch of {len(tensor)}: {_first_line(exc)}") from exc
        return cast(Float32, answers.numpy())

    def run_resident(self, size: int) -> None:
        """The model alone, on pixels that are there, its answers left there: what a batch cannot be faster than.

        `size`: one of `batch_sizes(max_batch)`. Raises RuntimeError.
        """
        turn = nullcontext() if self._captured else self._module_turn
        with self._lane() as lane, torch.inference_mode(), turn:
            lane.run_once(size)

    def _prepare(self, lanes: list[Lane]) -> bool:
        """Every size, in every lane, at its speed; True where all were captured. Raises ModelError.

        The largest goes first: the smaller find its memory free and share it.
        """
        with torch.inference_mode():
            try:
                lanes[0].run_once(self._sizes[-1])
            except RuntimeError as exc:
                raise ModelError(f"the model cannot take {self._sizes[-1]} frames at once; {_CURE}: {exc}") from exc
            if not lanes[0].stream.captures:
                return False
            try:
                for size in reversed(self._sizes):
                    self._capture(lanes, size)
            except RuntimeError as exc:
                logger.warning("no CUDA graphs, batches take longer to launch: %s", _first_line(exc))
                for lane in lanes:
                    lane.forget_captured()
                return False
        return True

    def _capture(self, lanes: list[Lane], size: int) -> None:
        for lane in lanes:
            lane.capture(size)
            # A graph reads them where they lay, and the head lets go of them at the next size.
            self._held += [(head.anchors, head.strides) for head in self._module.modules() if isinstance(head, Detect)]

    def _raw(self, lane: Lane, tensor: UInt8, size: int) -> torch.Tensor:
        if self._captured:
            return lane.answers(tensor, size)
        with self._module_turn:
            answers = lane.answers(tensor, size)
            lane.stream.wait()  # what the head keeps is complete before another lane reads it
            return answers

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        scaled = pixels.to(self._dtype, memory_format=torch.channels_last).div_(255)
        answers = self._module(scaled)
        return cast(torch.Tensor, answers[0] if isinstance(answers, list | tuple) else answers)

    @contextmanager
    def _lane(self) -> Iterator[Lane]:
        lane = self._idle.get()
        try:
            yield lane
        finally:
            self._idle.put(lane)

    def _kept(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Host memory of this shape, a thread's same from call to call: to pin some anew takes longer than to copy."""
        wanted = torch.Size(shape).numel()
        kept: torch.Tensor | None = getattr(self._answers, "kept", None)
        if kept is None or len(kept) < wanted:
            kept = host_memory((max(wanted, 2 * len(kept) if kept is not None else 0),), torch.float32, self._device)
            self._answers.kept = kept
        return kept[:wanted].view(shape)


def is_supported(module: nn.Module) -> bool:
    """True where the module's head is one whose answers can be cut down and whose anchors can be kept."""
    return any(isinstance(part, Detect) for part in module.modules())


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().partition("\n")[0]
