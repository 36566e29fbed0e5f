"""OpenVINO, directly: bytes in, normalisation inside the graph, one stream per pair of hands."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino.preprocess import PrePostProcessor

from stages.detect.metadata import openvino_names
from stages.errors import ModelError, StageError
from stages.values import Float32, UInt8


class OpenVinoBackend:
    """Two ways through one model: several frames side by side, each on its own cores; one frame on all of them.

    Side by side is faster per frame (no core waits for another after each layer), the more so while other processes
    take their share; alone, a frame is answered in half the time by all cores together. A call that comes while
    another's frames are at work side by side queues up right behind them: between two batches no core rests. Figures:
    docs/decisions/0002-runtime.md.
    """

    def __init__(self, path: Path, sha256: str, image_size: tuple[int, int], threads: int, half: bool = False) -> None:
        """`path`: an .onnx file or an OpenVINO folder. Raises ModelError where OpenVINO cannot read or compile it."""
        self.sha256 = sha256
        self.names = openvino_names(path)
        precision = "f16" if half else "f32"  # the default would be bf16 on some CPUs: other scores
        config = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "ENABLE_CPU_PINNING": False,  # pinned replicas would share a core and leave others idle
        }
        try:
            core = ov.Core()
            model = _with_byte_input(core.read_model(_readable(path)), image_size)
            together = core.compile_model(model, "CPU", {**config, "PERFORMANCE_HINT": "LATENCY"})
            model.reshape([1, 3, *image_size])
            beside = core.compile_model(model, "CPU", {**config, "PERFORMANCE_HINT": "THROUGHPUT"})
        except RuntimeError as exc:
            raise ModelError(f"{path}: OpenVINO cannot load it: {_first_line(exc)}") from exc
        self._together = together.create_infer_request()
        self._streams: int = beside.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # A thread a stream, each with a request of its own; frames wait in the pool's queue, in order.
        self._pool = ThreadPoolExecutor(self._streams, "openvino")
        self._idle = [beside.create_infer_request() for _ in range(self._streams)]
        self._last: Future[None] | None = None  # of the frames given to the pool
        self._turn = threading.Lock()
        self._answer_shape = tuple(beside.output(0).shape)[1:]
        self._arrays = threading.local()
        precision = "int8" if _works_on_bytes(beside) else precision
        self.runtime = f"openvino cpu {precision}, {threads} threads, {self._streams} streams"

    def infer(self, tensor: UInt8, min_score: float = 0.0) -> Float32:
        """As `Backend.infer`."""
        pixels, answers = (
            self._borrowable(tensor),
            self._kept("answers", (len(tensor), *self._answer_shape), np.float32),
        )
        try:
            with self._turn:  # the next call waits while one frame has all cores, and no longer
                beside = self._begin_beside(pixels, answers)
                if (rest := len(beside)) < len(tensor):
                    wait(beside)
                    _run(self._together, pixels[rest:], answers[rest:])
            wait(beside)  # all of them, whatever one raised: the arrays must not go while they are written to
            for frame in beside:
                frame.result()
        except RuntimeError as exc:
            raise StageError(f"OpenVINO gave up on a batch of {len(tensor)}: {_first_line(exc)}") from exc
        return answers

    def _begin_beside(self, pixels: UInt8, answers: Float32) -> list[Future[None]]:
        """Starts the leading frames that fill all streams; all frames where the streams are at work anyhow."""
        at_work = self._last is not None and not self._last.done()
        whole = len(pixels) // self._streams * self._streams if self._streams > 1 else 0
        count = len(pixels) if at_work else whole
        begun = [self._pool.submit(self._run_beside, pixels[n : n + 1], answers[n : n + 1]) for n in range(count)]
        self._last = begun[-1] if begun else self._last
        return begun

    def _run_beside(self, pixels: UInt8, answers: Float32) -> None:
        request = self._idle.pop()  # there is one: as many requests as threads
        try:
            _run(request, pixels, answers)
        finally:
            self._idle.append(request)

    def _borrowable(self, tensor: UInt8) -> UInt8:
        """The tensor, or our copy of one that OpenVINO will not take, as those out of an object store: read-only."""
        if tensor.flags.writeable and tensor.flags.c_contiguous:
            return tensor
        pixels = self._kept("pixels", tensor.shape, np.uint8)
        np.copyto(pixels, tensor)
        return pixels

    def _kept(self, name: str, shape: tuple[int, ...], dtype: type[Any]) -> npt.NDArray[Any]:
        """An array of this shape, a thread's same memory from call to call: fresh pages cost more than the copy."""
        kept: npt.NDArray[Any] | None = getattr(self._arrays, name, None)
        if kept is None or len(kept) < shape[0]:
            kept = np.empty(shape, dtype)
            setattr(self._arrays, name, kept)
        return kept[: shape[0]]


def _run(request: Any, pixels: UInt8, answers: Float32) -> None:
    """One inference in place. Not `request.infer()`: that copies the answers."""
    request.set_input_tensor(_shared(pixels))
    request.set_output_tensor(_shared(answers))
    request.start_async()
    request.wait()


def _with_byte_input(model: Any, image_size: tuple[int, int]) -> Any:
    """The model with this rectangle, any batch, and uint8 pixels in where it took 0..1."""
    model.reshape([-1, 3, *image_size])
    if model.input().get_element_type() == ov.Type.u8:
        return model
    pixels = PrePostProcessor(model)
    pixels.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NCHW"))
    pixels.input().model().set_layout(ov.Layout("NCHW"))
    pixels.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return pixels.build()


def _works_on_bytes(compiled: Any) -> bool:
    """True where most convolutions of the compiled graph compute in 8 bits, whatever the file asked for."""
    told = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = [str(one["runtimePrecision"].astype(str)) for one in told if one["layerType"].astype(str) == "Convolution"]
    return sum(kind in ("i8", "u8") for kind in kinds) * 2 > len(kinds)


def _readable(path: Path) -> str:
    return str(next(path.glob("*.xml")) if path.is_dir() else path)


def _shared(array: UInt8 | Float32) -> Any:
    """An OpenVINO tensor over the array's own memory, which the caller must keep alive and contiguous."""
    return ov.Tensor(cast(Any, array), shared_memory=True)


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
