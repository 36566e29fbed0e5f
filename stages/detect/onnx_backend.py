"""ONNX Runtime, directly: bytes in, normalisation put in front of the graph."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from stages.detect.metadata import onnx_names
from stages.errors import ModelError, StageError
from stages.values import Float32, UInt8

BYTES = "rayline_bytes"


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Its own error classes, which share no base but Exception."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    return tuple(found for found in vars(state).values() if isinstance(found, type) and issubclass(found, Exception))


RUN_ERRORS: tuple[type[Exception], ...] = (RuntimeError, *_runtime_errors())
_LOAD_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, *RUN_ERRORS)


class OnnxBackend:
    """One session, any batch, `threads` cores on each layer."""

    def __init__(self, path: Path, sha256: str, image_size: tuple[int, int], threads: int) -> None:
        """Raises ModelError where ONNX Runtime cannot load the file."""
        self.sha256 = sha256
        self.names = onnx_names(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        for name, size in zip(("height", "width"), image_size, strict=True):
            options.add_free_dimension_override_by_name(name, size)  # known sizes are folded into the graph
        offered = onnxruntime.get_available_providers()
        providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in offered]
        try:
            model = onnx.load(path)
            self._session = onnxruntime.InferenceSession(_with_byte_input(model), options, providers=providers)
        except _LOAD_ERRORS as exc:
            raise ModelError(f"{path}: ONNX Runtime cannot load it: {exc}") from exc
        self._turn = threading.Lock()  # two runs at once would share the same threads and only wait for each other
        self._input = self._session.get_inputs()[0].name
        device = "cuda" if self._session.get_providers()[0].startswith("CUDA") else "cpu"
        precision = " int8" if is_quantized(model) else ""
        self.runtime = f"onnxruntime {device}{precision}, {threads} threads"

    def infer(self, tensor: UInt8, min_score: float = 0.0) -> Float32:
        """As `Backend.infer`."""
        try:
            with self._turn:
                answers = self._session.run(None, {self._input: np.ascontiguousarray(tensor)})[0]
        except RUN_ERRORS as exc:
            raise StageError(f"ONNX Runtime gave up on a batch of {len(tensor)}: {exc}") from exc
        return cast(Float32, answers.astype(np.float32, copy=False))


def is_quantized(model: onnx.ModelProto) -> bool:
    """True where it computes in 8 bits."""
    return any(node.op_type == "DequantizeLinear" for node in model.graph.node)


def _with_byte_input(model: onnx.ModelProto) -> bytes:
    """The model, changed, with uint8 pixels in where it took 0..1 floats: a Cast and a Mul in front."""
    graph = model.graph
    pixels = graph.input[0]
    wanted = pixels.type.tensor_type.elem_type
    if wanted == TensorProto.UINT8:
        return cast(bytes, model.SerializeToString())
    scale = helper.make_tensor("rayline_scale", wanted, [], [1 / 255])
    graph.initializer.append(scale)
    graph.node.insert(0, helper.make_node("Cast", [BYTES], ["rayline_floats"], to=wanted))
    graph.node.insert(1, helper.make_node("Mul", ["rayline_floats", "rayline_scale"], [pixels.name]))
    described: Any = onnx.ValueInfoProto()
    described.CopyFrom(pixels)
    described.name = BYTES
    described.type.tensor_type.elem_type = TensorProto.UINT8
    graph.input.remove(pixels)
    graph.input.insert(0, described)
    return cast(bytes, model.SerializeToString())
