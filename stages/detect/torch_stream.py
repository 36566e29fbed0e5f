"""What a GPU does beside the program's threads, behind three verbs; on a CPU the same verbs, done at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch

Run = Callable[[], torch.Tensor]
_WARM_UPS = 3  # the first picks kernels, and a later one may still allocate; a capture must find all that done


class Stream(Protocol):
    """A queue of work on one device, in order. Work of two streams may run side by side."""

    captures: bool  # False: `captured` would bring nothing

    def active(self) -> AbstractContextManager[object]:
        """While entered, what this thread asks of torch goes into this stream."""
        ...

    def wait(self) -> None:
        """Return when all that was asked is done. Raises RuntimeError for what went wrong on the way."""
        ...

    def captured(self, run: Run) -> Run:
        """`run`, warmed up, as one launch that always answers into the same memory. Raises RuntimeError.

        No two streams may capture at once.
        """
        ...


class CpuStream:
    """Done when asked for: nothing to wait for, and nothing to capture."""

    captures = False

    def active(self) -> AbstractContextManager[object]:
        """As `Stream.active`."""
        return nullcontext()

    def wait(self) -> None:
        """As `Stream.wait`."""

    def captured(self, run: Run) -> Run:
        """As `Stream.captured`: `run` itself, and so its answers are new ones each time."""
        return run


class CudaStream:
    """A CUDA stream; its graphs share one pool of memory, for they never run at once."""

    captures = True

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(device))  # the model's weights may still be on their way
        self._pool = torch.cuda.graph_pool_handle()

    def active(self) -> AbstractContextManager[object]:
        """As `Stream.active`."""
        return torch.cuda.stream(self._stream)

    def wait(self) -> None:
        """As `Stream.wait`."""
        self._stream.synchronize()

    def captured(self, run: Run) -> Run:
        """As `Stream.captured`."""
        with self.active():
            for _ in range(_WARM_UPS):
                run()
        self.wait()
        graph = torch.cuda.CUDAGraph()
        # Calls of other threads, which may be at work on a lane of their own, must not end the capture. A capture that
        # fails may leave its stream active: `active` around it does not.
        with self.active(), torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            answers = run()

        def replay() -> torch.Tensor:
            graph.replay()
            return answers

        return replay


def stream_on(device: torch.device) -> Stream:
    """A new stream on this device."""
    return CudaStream(device) if device.type == "cuda" else CpuStream()


def host_memory(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Memory of this machine that the device copies from and to by itself: pinned, where it is a GPU."""
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")
