"""OpenVINO, directly: bytes in, normalisation inside the graph, one stream per pair of hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

from stages.detect.metadata import openvino_names
from stages.errors import ModelError, StageError
from stages.values import Float32, UInt8


class OpenVinoBackend:
    """Two ways through one model: several frames side by side, each on its own cores; one frame on all of them.

    Side by side is faster per frame (no core waits for another after each layer), the more so while other processes
    take their share; alone, a frame is answered in half the time by all cores together. Figures:
    docs/decisions/0002-runtime.md.
    """

    def __init__(self, path: Path, sha256: str, image_size: tuple[int, int], threads: int, half: bool = False) -> None:
        """`path`: an .onnx file or an OpenVINO folder. Raises ModelError where OpenVINO cannot read or compile it."""
        self.sha256 = sha256
        self.names = openvino_names(path)
        self._answers = np.empty(0, np.float32)
        self._pixels = np.empty(0, np.uint8)
        config = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f16"
            if half
            else "f32",  # the default would be bf16 on some CPUs: other scores
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
        streams = beside.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._beside = ov.AsyncInferQueue(beside, streams)
        self._answer_shape = tuple(beside.output(0).shape)[1:]
        self.runtime = f"openvino cpu {config['INFERENCE_PRECISION_HINT']}, {threads} threads, {streams} streams"

    def infer(self, tensor: UInt8) -> Float32:
        """As `Backend.infer`."""
        pixels, answers = self._borrowable(tensor), self._room_for(len(tensor))
        streams = len(self._beside)
        paired = len(tensor) // streams * streams if streams > 1 else 0
        try:
            self._infer_beside(pixels[:paired], answers[:paired])
            if paired < len(tensor):
                self._together.set_input_tensor(_shared(pixels[paired:]))
                self._together.set_output_tensor(_shared(answers[paired:]))
                self._together.infer()
        except RuntimeError as exc:
            raise StageError(f"OpenVINO gave up on a batch of {len(tensor)}: {_first_line(exc)}") from exc
        return answers

    def _borrowable(self, tensor: UInt8) -> UInt8:
        """The tensor, or our copy of one that OpenVINO will not take, as those out of an object store: read-only."""
        if tensor.flags.writeable and tensor.flags.c_contiguous:
            return tensor
        if len(self._pixels) < len(tensor):
            self._pixels = np.empty(tensor.shape, np.uint8)
        pixels = self._pixels[: len(tensor)]
        np.copyto(pixels, tensor)
        return pixels

    def _infer_beside(self, tensor: UInt8, answers: Float32) -> None:
        """One frame per stream; a stream that is done takes the next, for others may be held up by other processes."""
        try:
            for number in range(len(tensor)):
                request = self._beside[self._beside.get_idle_request_id()]  # the one that start_async takes
                request.set_input_tensor(_shared(tensor[number : number + 1]))
                request.set_output_tensor(_shared(answers[number : number + 1]))
                self._beside.start_async()
        finally:
            self._beside.wait_all()  # also after a failed start: the arrays must not go while they are written to

    def _room_for(self, count: int) -> Float32:
        """An array for this many answers, the same memory from call to call: fresh pages cost more than the copy."""
        if len(self._answers) < count:
            self._answers = np.empty((count, *self._answer_shape), np.float32)
        return self._answers[:count]


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


def _readable(path: Path) -> str:
    return str(next(path.glob("*.xml")) if path.is_dir() else path)


def _shared(array: UInt8 | Float32) -> Any:
    """An OpenVINO tensor over the array's own memory, which the caller must keep alive and contiguous."""
    return ov.Tensor(cast(Any, array), shared_memory=True)


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
